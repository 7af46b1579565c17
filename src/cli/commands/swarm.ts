import { answer } from '../answer.ts'
import { MAX_SWARM_PEERS } from '../constants.ts'
import { SwarmEndedError } from '../errors.ts'
import { plural, shortPeerId, table } from '../format.ts'
import { serviceCode, untilAborted } from '../interrupt.ts'
import { findModel, openModelAt } from '../open-model.ts'
import { addModelOption, addOutputOptions, addThreadsOption } from '../options.ts'
import { integer } from '../parse.ts'
import { startPeers } from '../peer-processes.ts'
import { createProgress } from '../progress.ts'
import { note, style, writeJson } from '../terminal.ts'
import { readText } from '../text-input.ts'
import { splitLayers } from '../units.ts'
import { addPromptOptions } from './prompt.ts'
import type { Command } from 'commander'
import type { Model } from '../../model/index.ts'
import type { PromptFlags } from '../answer.ts'
import type { Context } from '../context.ts'
import type { SwarmJson } from '../json.ts'
import type { PeerProcesses } from '../peer-processes.ts'

interface SwarmFlags extends PromptFlags {
  peers: number
  prompt?: string
  file?: string
}

export function defineSwarm (program: Command, context: Context): void {
  const command = program.command('swarm')
    .description('Start peers on this machine that share a model; then answer --prompt, or stay up until Ctrl-C.')
    .option('-p, --peers <n>', 'processes to start; layers are split evenly', integer(1, MAX_SWARM_PEERS), 4)
    .option('--prompt <text>', 'answer this, then stop the peers')
  addOutputOptions(addPromptOptions(addThreadsOption(addModelOption(command))))
    .addHelpText('after', `
Examples:
  $ efedllm swarm --peers 4 --prompt "Fellow citizens of the Senate"
  $ efedllm swarm --peers 2 --model smollm2-135m-instruct --chat --prompt "Why is the sky blue?"
  $ efedllm swarm --peers 3`)
    .action(async (flags: SwarmFlags) => { await runSwarm(context, flags) })
}

async function runSwarm (context: Context, flags: SwarmFlags): Promise<void> {
  const { terminal } = context
  const progress = createProgress(terminal, flags)
  const prompt = flags.prompt === undefined && flags.file === undefined ? undefined : await readText(terminal, flags.prompt, flags.file)
  const path = await findModel(context, flags.model, progress, flags)
  // hashes are computed here once, and cached for the peers
  const model = await openModelAt(context, path, progress)
  const layers = splitLayers(model.architecture.layerCount, flags.peers)
  if (flags.json !== true) note(terminal, style(terminal, 'dim', `starting ${plural(flags.peers, 'peer')} ...`))
  const swarm = await startPeers({
    program: [process.execPath, ...process.execArgv, process.argv[1]],
    peers: layers.map(range => [
      '--model', path, '--layers', range, '--listen', '/ip4/127.0.0.1/tcp/0', '--ephemeral', '--no-mdns', '--no-dht', '--exit-with-parent', '--json',
      ...(flags.threads === undefined ? [] : ['--threads', String(flags.threads)])
    ]),
    // those that stay up know each other, so that one of them will do for `status` and a directory; an answer needs none of it
    introduce: prompt === undefined ? first => ['--join', first.addresses[0]] : undefined,
    signal: context.signal,
    onReady: count => progress.update('starting peers', count, layers.length),
    onLost: error => note(terminal, style(terminal, 'yellow', error.message)),
    onExit: context.onExit
  })
  progress.stop()
  try {
    const join = swarm.peers.map(({ ready }) => ready.addresses[0])
    if (prompt !== undefined) await answer(context, { ...flags, join, local: undefined }, model, prompt)
    else await stayUp(context, flags, model, swarm, join.join(','))
  } finally {
    await swarm.stop()
  }
}

async function stayUp (context: Context, flags: SwarmFlags, model: Model, swarm: PeerProcesses, join: string): Promise<void> {
  const { terminal, signal } = context
  if (flags.json === true) {
    const value: SwarmJson = {
      event: 'ready',
      model: { name: model.name, modelId: model.modelId },
      join,
      peers: swarm.peers.map(({ pid, ready: { peerId, addresses, range, units } }) => ({ pid, peerId, addresses, range, units }))
    }
    await writeJson(terminal, value)
  } else {
    for (const line of table(swarm.peers.map(({ number, pid, ready }) => [
      `peer ${number}`, ready.units, `peer ${shortPeerId(ready.peerId)}`, `process ${pid}`, ready.addresses[0].replace(/\/p2p\/[^/]+$/, '')
    ]))) note(terminal, style(terminal, 'cyan', line))
    note(terminal, `\nask it:\n  efedllm prompt --model ${flags.model ?? model.name} --join ${join} "…"\n\nCtrl-C stops all peers`)
  }
  await Promise.race([swarm.ended, untilAborted(signal)])
  if (!signal.aborted) throw new SwarmEndedError(swarm.peers.length)
  context.exitCode = serviceCode(signal)
}
