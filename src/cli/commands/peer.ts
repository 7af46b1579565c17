import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { Option } from 'commander'
import { addAccessOptions, checkInvited, looksLikeInvite, readAccess, readAllowList } from '../access.ts'
import { hostWhatIsNeeded } from '../auto-hosting.ts'
import { lockDataDirectory } from '../data-lock.ts'
import { DEFAULT_LISTEN, DRAIN_MILLISECONDS, STOP_MILLISECONDS } from '../constants.ts'
import { UsageError } from '../errors.ts'
import { milliseconds, plural, reachabilityWords, shortPeerId } from '../format.ts'
import { giveBackMemory } from '../give-back-memory.ts'
import { hostUnits } from '../hosting.ts'
import { serviceCode, untilAborted } from '../interrupt.ts'
import { inviteOf, keepInvite } from '../invites.ts'
import { addModelOption, addOutputOptions, addThreadsOption } from '../options.ts'
import { decimal, duration, list, size } from '../parse.ts'
import { createProgress } from '../progress.ts'
import { note, style, writeJson } from '../terminal.ts'
import { describeUnits } from '../units.ts'
import type { Command } from 'commander'
import type { PeerEvent, PeerNode } from '../../peer/index.ts'
import type { Access, AccessOptions } from '../access.ts'
import type { Context, OutputOptions } from '../context.ts'
import type { Hosting } from '../hosting.ts'
import type { ModelOptions } from '../options.ts'
import type { PeerJson } from '../json.ts'

interface PeerFlags extends ModelOptions, OutputOptions, AccessOptions {
  layers: string
  units?: string
  memory?: number
  listen?: string[]
  announce?: string[]
  allow?: string
  mdns?: boolean
  dht?: boolean
  relay?: boolean
  from?: string[]
  share?: boolean
  dataDir?: string
  ephemeral?: boolean
  exitWithParent?: boolean
  drainTimeout?: number
  placementPace?: number
}

type RunFlags = PeerFlags & Access

export function definePeer (program: Command, context: Context): void {
  const command = program.command('peer [model]')
    .description('Host layers of a model for others, until Ctrl-C. The model is one of this machine, an invite, or the id of a model that the peers of --from have: then only the layers to be hosted are fetched.')
  addOutputOptions(addAccessOptions(addThreadsOption(addModelOption(command))))
    .option('-l, --layers <range>', 'from:to, the end not included; 0:k has the embedding, k:last the head; auto: what the swarm needs most, as it changes', 'auto')
    .option('--units <range>', 'exact units instead: numbers as from:to (0 is embed, N + 1 is layer N), or names: embed, "layer 3", head')
    .option('--memory <size>', 'with --layers auto, what the peer may take of this machine, all in all: 8GB (default: three quarters of what is free)', size)
    .option('--listen <addresses>', `multiaddrs to listen on; repeat it, or put commas between (default: ${DEFAULT_LISTEN})`, list)
    .option('--announce <addresses>', 'multiaddrs to tell others instead (forwarded ports)', list)
    .option('-j, --join <addresses>', 'peers to stay connected with; an invite says who, and what to host', list)
    .option('--allow <peers>', 'peer ids that may connect, and nobody else; or a file with one a line')
    .addOption(new Option('--no-mdns', 'do not look for peers in the local network').env('EFEDLLM_NO_MDNS'))
    .addOption(new Option('--no-dht', 'do not look for peers through the distributed hash table of the swarm').env('EFEDLLM_NO_DHT'))
    .option('--relay', 'let peers behind routers be reached by way of this one, activations too')
    .option('--from <addresses>', 'peers to fetch the layers from', list)
    .option('--no-share', 'do not pack the layers into the cache, nor give them to other peers')
    .option('--data-dir <folder>', 'where the key of this peer is kept (default: peer, in the data directory: $EFEDLLM_DATA_DIR, or XDG)')
    .option('--ephemeral', 'an identity that is not kept')
    .option('--exit-with-parent', 'end when stdin ends')
    .option('--drain-timeout <time>', 'on Ctrl-C or SIGTERM, and before the peer leaves layers, how long to wait for clients to move their sessions to other peers (default: 30s)', duration)
    .addOption(new Option('--placement-pace <factor>', 'for tests: times of the placement are so many times as long').argParser(decimal(0.001, 1)).hideHelp())
    .addHelpText('after', `
Examples:
  $ efedllm peer --model smollm2-135m-instruct --memory 1GB
  $ efedllm peer --model smollm2-135m-instruct --layers 0:15 --listen /ip4/0.0.0.0/tcp/4001
  $ efedllm peer --model smollm2-135m-instruct --layers 15:30 --listen /ip4/0.0.0.0/tcp/4002 --data-dir ~/second-peer
  $ efedllm peer --from /ip4/192.168.1.7/tcp/4001/p2p/12D3KooW… --layers 8:15
  $ efedllm peer efedllm1… --layers 8:15`)
    .action(async (model: string | undefined, typed: PeerFlags) => {
      const invite = model !== undefined && looksLikeInvite(model) ? [model] : []
      const named = invite.length > 0 ? undefined : model
      if (named !== undefined && typed.model !== undefined) throw new UsageError(`${named}: the model is given with --model already`)
      const flags = { ...typed, ...await readAccess({ ...typed, join: [...typed.join ?? [], ...invite] }), model: named ?? typed.model }
      await runPeer(context, invited(flags))
    })
}

/** What an invite is for is hosted, unless something else is named: fetched from those whom it names, where it is not here. */
function invited (flags: RunFlags): RunFlags {
  const { model, from, join, invitedModelId } = flags
  return invitedModelId === undefined || model !== undefined || from !== undefined ? flags : { ...flags, model: invitedModelId, from: join }
}

async function runPeer (context: Context, flags: RunFlags): Promise<void> {
  const { terminal, signal } = context
  const parent = flags.exitWithParent === true ? parentGone(terminal.stdin) : undefined
  const asked = parent === undefined ? signal : AbortSignal.any([signal, parent])
  const progress = createProgress(terminal, flags)
  const allow = flags.allow === undefined ? undefined : await readAllowList(flags.allow)

  let unlock = (): void => {}
  let dataDirectory: string | undefined
  if (flags.ephemeral !== true) {
    const library = await import('../../model/index.ts')
    dataDirectory = flags.dataDir ?? join(library.dataDirectory(terminal.env), 'peer')
    unlock = lockDataDirectory(dataDirectory)
    context.onExit(unlock)
  }
  try {
    const init = { context, request: { ...flags, identity: dataDirectory }, progress, signal: asked }
    const moves = flags.units === undefined && flags.layers === 'auto'
    if (!moves && flags.memory !== undefined) throw new UsageError('--memory is for --layers auto: layers that were named are hosted whatever they take')
    const hosting = moves
      ? await hostWhatIsNeeded(init, { join: flags.join, memory: flags.memory, drainTimeout: flags.drainTimeout ?? DRAIN_MILLISECONDS, pace: flags.placementPace })
      : await hostUnits(init, flags)
    try {
      checkInvited(hosting.model, flags)
      asked.throwIfAborted()
      const { createPeerNode } = await import('../../peer/index.ts')
      const node = createPeerNode({
        engine: hosting.engine,
        model: hosting.model,
        share: hosting.share,
        listen: flags.listen ?? [DEFAULT_LISTEN],
        announce: flags.announce,
        join: [...new Set([...flags.join, ...hosting.join])],
        discovery: { mdns: flags.mdns, dht: flags.dht, relay: flags.relay === true ? 'serve' : 'use' },
        network: { key: flags.key, allow },
        dataDirectory,
        onEvent: event => { if (flags.json !== true) showEvent(context, event) }
      })
      await node.start({ signal: asked })
      try {
        const range = await hosting.serve(node)
        const { modelId, name, manifest } = hosting.model
        const invite = await inviteOf(node, modelId, flags.key)
        const removeInvite = await keepInvite(dataDirectory, invite)
        context.onExit(removeInvite)
        const ready: PeerJson = {
          event: 'ready', peerId: node.peerId, addresses: node.addresses, range, units: describeUnits(range, manifest.architecture.layerCount), model: { name, modelId }, invite: flags.key === undefined ? invite ?? null : null
        }
        // what has been compiled is there for the next peer of this machine, though this one may run for months, or be killed
        flushCompileCache()
        giveBackMemory()
        await sayReady(context, flags, hosting, ready)
        await untilAborted(asked)
        removeInvite()
        await drain(context, node, hosting, flags, parent)
      } finally {
        await node.stop()
      }
    } finally {
      await hosting.stop()
    }
  } catch (error) {
    if (error !== asked.reason || !asked.aborted) throw error
  } finally {
    progress.stop()
    unlock()
  }
  context.exitCode = serviceCode(signal)
}

/** Nobody's text ends because this peer does, if others host the same layers. */
async function drain ({ terminal }: Context, node: PeerNode, hosting: Hosting, { drainTimeout = DRAIN_MILLISECONDS, json }: PeerFlags, parent: AbortSignal | undefined): Promise<void> {
  if (node.sessions > 0 && json !== true) note(terminal, style(terminal, 'dim', `${plural(node.sessions, 'session')} to be moved to other peers, for up to ${milliseconds(drainTimeout)}`))
  try {
    await hosting.drain({ milliseconds: drainTimeout, signal: parent })
  } catch (error) {
    // who started us has gone: no time for others
    if (parent?.aborted !== true) throw error
  }
}

async function sayReady ({ terminal }: Context, flags: RunFlags, { model, share }: Hosting, ready: PeerJson): Promise<void> {
  if (flags.json === true) {
    await writeJson(terminal, ready)
    return
  }
  note(terminal, `${style(terminal, 'bold', model.name)}  ${style(terminal, 'dim', `model ${model.modelId.slice(0, 12)}, ${model.manifest.profile}`)}`)
  note(terminal, `peer ${ready.peerId} hosts ${ready.units}`)
  for (const address of ready.addresses) note(terminal, `  --join ${address}`)
  if (share !== undefined && ready.addresses.length > 0) note(terminal, style(terminal, 'dim', `others can fetch these layers: efedllm peer ${model.modelId}@${ready.addresses[0]}`))
  if (flags.key !== undefined) note(terminal, style(terminal, 'dim', 'a private swarm: efedllm invite prints an invite, with the key in it'))
  else if (ready.invite !== null) note(terminal, style(terminal, 'dim', `an invite: ${ready.invite}`))
}

function showEvent ({ terminal }: Context, event: PeerEvent): void {
  if (event.type === 'peer:session-open') {
    note(terminal, style(terminal, 'dim', `${shortPeerId(event.client)} opened a session (${plural(event.sessions, 'session')})`))
  } else if (event.type === 'peer:session-close') {
    note(terminal, style(terminal, 'dim', `${shortPeerId(event.client)} closed a session: ${event.reason} (${plural(event.sessions, 'session')})`))
  } else if (event.type === 'peer:session-suspend') {
    note(terminal, style(terminal, 'yellow', `a session of ${shortPeerId(event.client)} waits for its client: ${event.reason}`))
  } else if (event.type === 'peer:join' && event.error !== undefined) {
    note(terminal, style(terminal, 'yellow', `${event.address}: ${event.error.message}`))
  } else if (event.type === 'peer:refused') {
    note(terminal, style(terminal, 'yellow', `${shortPeerId(event.peerId)} was refused: ${event.reason}`))
  } else if (event.type === 'peer:reachability') {
    note(terminal, style(terminal, event.status === 'unreachable' ? 'yellow' : 'dim', `others reach this peer: ${reachabilityWords(event)}`))
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
