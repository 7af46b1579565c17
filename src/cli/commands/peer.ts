import { join } from 'node:path'
import { lockDataDirectory } from '../data-lock.ts'
import { DEFAULT_LISTEN, STOP_MILLISECONDS } from '../constants.ts'
import { startEngine } from '../engines.ts'
import { UsageError } from '../errors.ts'
import { plural, shortPeerId } from '../format.ts'
import { openHostedModel, parseModelRequest } from '../host-model.ts'
import { serviceCode, untilAborted } from '../interrupt.ts'
import { addModelOption, addOutputOptions, addThreadsOption } from '../options.ts'
import { list } from '../parse.ts'
import { createProgress } from '../progress.ts'
import { note, style, writeJson } from '../terminal.ts'
import { describeUnits, largestGap, parseLayers, parseUnits } from '../units.ts'
import type { Command } from 'commander'
import type { Manifest, Model, UnitRange } from '../../model/index.ts'
import type { PeerEvent } from '../../peer/index.ts'
import type { Context, OutputOptions } from '../context.ts'
import type { ModelOptions } from '../options.ts'
import type { PeerJson } from '../json.ts'

interface PeerFlags extends ModelOptions, OutputOptions {
  layers: string
  units?: string
  listen?: string[]
  announce?: string[]
  join?: string[]
  from?: string[]
  share?: boolean
  dataDir?: string
  ephemeral?: boolean
  exitWithParent?: boolean
}

export function definePeer (program: Command, context: Context): void {
  const command = program.command('peer [model]')
    .description('Host layers of a model for others, until Ctrl-C. The model is one of this machine, or the id of one that the peers of --from have: then only the layers to be hosted are fetched.')
  addOutputOptions(addThreadsOption(addModelOption(command)))
    .option('-l, --layers <range>', 'from:to, the end not included; 0:k has the embedding, k:last the head; auto takes what --join and --from leave', 'auto')
    .option('--units <range>', 'exact units instead: numbers as from:to (0 is embed, N + 1 is layer N), or names: embed, "layer 3", head')
    .option('--listen <addresses>', `multiaddrs to listen on; repeat it, or put commas between (default: ${DEFAULT_LISTEN})`, list)
    .option('--announce <addresses>', 'multiaddrs to tell others instead (forwarded ports)', list)
    .option('-j, --join <addresses>', 'peers to stay connected with', list)
    .option('--from <addresses>', 'peers to fetch the layers from', list)
    .option('--no-share', 'do not pack the layers into the cache, nor give them to other peers')
    .option('--data-dir <folder>', 'where the key of this peer is kept (default: peer, in the data directory: $EFEDLLM_DATA_DIR, or XDG)')
    .option('--ephemeral', 'an identity that is not kept')
    .option('--exit-with-parent', 'end when stdin ends')
    .addHelpText('after', `
Examples:
  $ efedllm peer --model smollm2-135m-instruct --layers 0:15 --listen /ip4/0.0.0.0/tcp/4001
  $ efedllm peer --model smollm2-135m-instruct --layers 15:30 --listen /ip4/0.0.0.0/tcp/4002 --data-dir ~/second-peer
  $ efedllm peer --from /ip4/192.168.1.7/tcp/4001/p2p/12D3KooW… --layers 8:15`)
    .action(async (model: string | undefined, flags: PeerFlags) => {
      if (model !== undefined && flags.model !== undefined) throw new UsageError(`${model}: the model is given with --model already`)
      await runPeer(context, { ...flags, model: model ?? flags.model })
    })
}

async function runPeer (context: Context, flags: PeerFlags): Promise<void> {
  const { terminal, signal } = context
  const asked = flags.exitWithParent === true ? AbortSignal.any([signal, parentGone(terminal.stdin)]) : signal
  const progress = createProgress(terminal, flags)
  const { model, range, share } = await openHostedModel({
    context, request: flags, progress, signal: asked, chooseRange: async model => await chooseRange(flags, model, asked)
  })
  const { createPeerNode } = await import('../../peer/index.ts')

  let unlock = (): void => {}
  let dataDirectory: string | undefined
  if (flags.ephemeral !== true) {
    const library = await import('../../model/index.ts')
    dataDirectory = flags.dataDir ?? join(library.dataDirectory(terminal.env), 'peer')
    unlock = lockDataDirectory(dataDirectory)
    context.onExit(unlock)
  }
  try {
    const engine = await startEngine({ model, range, threads: flags.threads, env: terminal.env, progress, signal: asked })
    try {
      asked.throwIfAborted()
      const node = createPeerNode({
        engine,
        model,
        share,
        listen: flags.listen ?? [DEFAULT_LISTEN],
        announce: flags.announce,
        join: flags.join,
        dataDirectory,
        onEvent: event => { if (flags.json !== true) showEvent(context, event) }
      })
      await node.start({ signal: asked })
      try {
        await sayReady(context, flags, model, { event: 'ready', peerId: node.peerId, addresses: node.addresses, range, units: describeUnits(range, model.architecture.layerCount), model: { name: model.name, modelId: model.modelId } }, share !== undefined)
        await untilAborted(asked)
      } finally {
        await node.stop()
      }
    } finally {
      await engine.stop()
    }
  } catch (error) {
    if (error !== asked.reason || !asked.aborted) throw error
  } finally {
    progress.stop()
    unlock()
  }
  context.exitCode = serviceCode(signal)
}

async function chooseRange (flags: PeerFlags, model: { modelId: string, manifest: Manifest }, signal: AbortSignal): Promise<UnitRange> {
  const { layers, units } = flags
  const { layerCount } = model.manifest.architecture
  if (units !== undefined) return parseUnits(units, layerCount)
  if (layers !== 'auto') return parseLayers(layers, layerCount)
  const all = { from: 0, to: layerCount + 2 }
  const others = [...flags.join ?? [], ...parseModelRequest(flags).from]
  if (others.length === 0) return all
  const { createPeerNode } = await import('../../peer/index.ts')
  const node = createPeerNode({})
  await node.start({ signal })
  try {
    const answers = await Promise.all(others.map(address => node.info(address, { signal })))
    const hosted = answers.flatMap(({ hosted }) => hosted?.modelId === model.modelId ? hosted.ranges.map(({ range }) => range) : [])
    return largestGap(hosted, layerCount + 2) ?? all
  } finally {
    await node.stop()
  }
}

async function sayReady ({ terminal }: Context, flags: PeerFlags, model: Model, ready: PeerJson, sharing: boolean): Promise<void> {
  if (flags.json === true) {
    await writeJson(terminal, ready)
    return
  }
  note(terminal, `${style(terminal, 'bold', model.name)}  ${style(terminal, 'dim', `model ${model.modelId.slice(0, 12)}, ${model.manifest.profile}`)}`)
  note(terminal, `peer ${ready.peerId} hosts ${ready.units}`)
  for (const address of ready.addresses) note(terminal, `  --join ${address}`)
  if (sharing && ready.addresses.length > 0) note(terminal, style(terminal, 'dim', `others can fetch these layers: efedllm peer ${model.modelId}@${ready.addresses[0]}`))
}

function showEvent ({ terminal }: Context, event: PeerEvent): void {
  if (event.type === 'peer:session-open') {
    note(terminal, style(terminal, 'dim', `${shortPeerId(event.client)} opened a session (${plural(event.sessions, 'session')})`))
  } else if (event.type === 'peer:session-close') {
    note(terminal, style(terminal, 'dim', `${shortPeerId(event.client)} closed a session: ${event.reason} (${plural(event.sessions, 'session')})`))
  } else if (event.type === 'peer:join' && event.error !== undefined) {
    note(terminal, style(terminal, 'yellow', `${event.address}: ${event.error.message}`))
  }
}

/** Aborts when stdin ends: the process that started this one has gone, or wants it to end. */
function parentGone (stdin: NodeJS.ReadableStream): AbortSignal {
  const controller = new AbortController()
  const gone = (): void => {
    controller.abort()
    // nobody is left to kill a peer that does not come to its end
    setTimeout(() => process.exit(1), STOP_MILLISECONDS).unref()
  }
  stdin.on('end', gone).on('close', gone).on('error', gone).resume()
  return controller.signal
}
