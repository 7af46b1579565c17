/**
 * Fifty peer processes on one machine, one layer of sotu-4m each, from one
 * bootstrap: how long until every one of them knows all the others, what a
 * process needs, and what the sudden death of the bootstrap does.
 *
 *   npm run build && node scripts/bench-fifty.ts [--peers 50] [--rest 20] [--no-dht] [--json]
 *
 * Ends with code 1 where they need 60 s or more, where the text is another
 * without the bootstrap, or where nobody can join any more.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { multiaddr } from '@multiformats/multiaddr'
import { connectRoute, createEngine, createLocalSession, createPeerNode, generateText, openModel } from '../src/index.ts'
import { describeMachine, machineLines } from '../src/cli/machine.ts'
import { decodeRecord, decodeSealed } from '../src/peer/directory/record.ts'
import { askRecords } from '../src/peer/directory/exchange.ts'
import { startedNode } from '../src/peer/node.ts'
import type { RouteSession } from '../src/index.ts'
import { maximum, median } from './figures.ts'
import { startPeer } from './soak/peers.ts'
import type { PeerProcess } from './soak/peers.ts'

const LIMIT_SECONDS = 60
/** Peers are asked whom they know this often; they answer one question a second. */
const ASK_MILLISECONDS = 2_000
const PROMPT = 'Fellow citizens of the Senate and House of Representatives'

const { values } = parseArgs({
  options: { peers: { type: 'string', default: '50' }, rest: { type: 'string', default: '20' }, 'no-dht': { type: 'boolean', default: false }, json: { type: 'boolean', default: false } }
})
const count = Number(values.peers)
const say = (text: string): void => { if (!values.json) console.log(text) }
const path = fileURLToPath(new URL('../models/sotu-4m', import.meta.url))
const model = await openModel(path)
const { layerCount } = model.architecture
const cache = mkdtempSync(join(tmpdir(), 'efedllm-fifty-'))
const processes: PeerProcess[] = []
const asker = createPeerNode({ discovery: {} })
await asker.start()
const { libp2p } = startedNode(asker)

async function launch (layer: number, bootstrap: string[]): Promise<PeerProcess> {
  const peer = await startPeer({
    cache,
    args: [
      '--model', path, '--layers', `${layer}:${layer + 1}`, '--threads', '1', '--listen', '/ip4/127.0.0.1/tcp/0', '--ephemeral', '--no-mdns',
      ...values['no-dht'] ? ['--no-dht'] : [], ...bootstrap.length > 0 ? ['--join', bootstrap.join(',')] : []
    ]
  })
  processes.push(peer)
  return peer
}

/** PeerIds that a peer gives to who asks, itself included. */
async function knownBy ({ ready }: PeerProcess): Promise<Set<string>> {
  const connection = await libp2p.dial(multiaddr(ready.addresses[0]))
  const { records } = await askRecords(connection, model.modelId, AbortSignal.timeout(10_000))
  const known = records.map(({ bytes }) => decodeRecord(decodeSealed(bytes).body))
  return new Set(known.filter(({ ranges }) => ranges.length > 0).map(({ peerId }) => peerId))
}

/** Seconds until each of these peers knows all of them, and none of the gone. */
async function untilAllKnown (peers: PeerProcess[], since: number, gone: string[] = []): Promise<{ seconds: number, covered: number }> {
  let covered = Infinity
  for (;;) {
    const answers = await Promise.all(peers.map(async peer => await knownBy(peer).catch(() => new Set<string>())))
    const seconds = (performance.now() - since) / 1000
    const complete = answers.filter(known => peers.every(({ ready: { peerId } }) => known.has(peerId)) && gone.every(peerId => !known.has(peerId))).length
    const layersOf = (known: Set<string>): Set<string> => new Set(peers.filter(({ ready }) => known.has(ready.peerId)).map(({ ready }) => ready.units))
    const layers = new Set(peers.map(({ ready }) => ready.units)).size
    if (answers.every(known => layersOf(known).size === layers)) covered = Math.min(covered, seconds)
    if (complete === peers.length) return { seconds, covered }
    say(`${seconds.toFixed(1).padStart(6)} s: ${complete} of ${peers.length} know all; the least known are ${Math.min(...answers.map(({ size }) => size))}`)
    if (seconds > 3 * LIMIT_SECONDS) return { seconds: Infinity, covered }
    await pause(ASK_MILLISECONDS)
  }
}

/** Milliseconds of processor that processes have used, all threads; 0 where the system does not tell. */
function processorMilliseconds (peers: PeerProcess[]): number[] {
  return peers.map(({ pid }) => {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
      // in hundredths of a second, on every Linux there is
      return (Number(fields[11]) + Number(fields[12])) * 10
    } catch {
      return 0
    }
  })
}

async function answer (session: RouteSession): Promise<string> {
  const { tokenIds } = await generateText({ session, tokenizer: model.tokenizer, promptIds: model.tokenizer.encode(PROMPT), options: { maximumTokens: 32 } })
  return tokenIds.join()
}

async function undisturbed (): Promise<string> {
  const engine = await createEngine({ architecture: model.architecture, range: { from: 0, to: layerCount + 2 }, unit: index => model.unit(index), threads: 1 })
  try {
    return await answer(createLocalSession(engine))
  } finally {
    await engine.stop()
  }
}

/** The text that a client gets who knows one peer. */
async function ask (address: string): Promise<string> {
  const node = createPeerNode({ discovery: {} })
  await node.start()
  try {
    await node.info(address)
    await node.directory!.refresh(model.modelId)
    const session = await connectRoute({ node, model, addresses: [address] })
    const text = await answer(session)
    await session.close()
    return text
  } finally {
    await node.stop()
  }
}

async function main (): Promise<boolean> {
  const right = await undisturbed()
  const bootstrap = await launch(0, [])
  const started = performance.now()
  const join = bootstrap.ready.addresses
  await Promise.all(Array.from({ length: count - 1 }, async (_value, index) => await launch((index + 1) % layerCount, join)))
  const ready = (performance.now() - started) / 1000
  const atStart = median(processorMilliseconds(processes.slice(1)))
  say(`${count - 1} processes are ready after ${ready.toFixed(1)} s; each has used ${atStart.toFixed(0)} ms of processor`)
  const formed = await untilAllKnown(processes, started)
  const formedProcessor = processorMilliseconds(processes).reduce((sum, used) => sum + used, 0) / 1000
  say(`everybody knows everybody ${formed.seconds.toFixed(1)} s after the first of them was started, and knew peers for all layers after ${formed.covered.toFixed(1)} s at the latest; all of them have used ${formedProcessor.toFixed(0)} s of processor`)
  if (formed.seconds === Infinity) {
    say('broken: they have not found each other; is the machine free?')
    return false
  }
  const whole = await ask(processes[1].ready.addresses[0])
  const before = processorMilliseconds(processes)
  await pause(Number(values.rest) * 1000)
  const rest = processorMilliseconds(processes).map((used, index) => (used - before[index]) / Number(values.rest))
  const memory = (await Promise.all(processes.map(async peer => await peer.memory()))).flatMap(memory => memory === undefined ? [] : memory.rss)
  say(`at rest a process uses ${median(rest).toFixed(1)} ms of processor a second (most: ${maximum(rest).toFixed(1)}), and ${(median(memory) / 1e6).toFixed(0)} MB of memory (most: ${(maximum(memory) / 1e6).toFixed(0)})`)

  const killed = performance.now()
  bootstrap.kill()
  const others = processes.slice(1)
  const after = await ask(others[0].ready.addresses[0])
  const asked = (performance.now() - killed) / 1000
  say(`the bootstrap was killed: ${asked.toFixed(1)} s later a prompt has been answered ${after === right ? 'with the same text' : 'WRONGLY'}`)
  const noticed = await untilAllKnown(others, killed, [bootstrap.ready.peerId])
  say(`everybody has noticed, and knows everybody else, after ${noticed.seconds.toFixed(1)} s`)
  const joining = performance.now()
  const newcomers = await Promise.all([others[3], others.at(-1)!].map(async (peer, index) => await launch(index, peer.ready.addresses)))
  const joined = await untilAllKnown([...others, ...newcomers], joining, [bootstrap.ready.peerId])
  say(`two more have joined through two of them: known to everybody ${joined.seconds.toFixed(1)} s after they were started`)
  const broken = [
    formed.seconds < LIMIT_SECONDS ? '' : `it took ${formed.seconds.toFixed(1)} s`, whole === right && after === right ? '' : 'the text is wrong', joined.seconds < LIMIT_SECONDS ? '' : 'nobody can join any more'
  ].filter(Boolean)
  if (values.json) {
    console.log(JSON.stringify({
      peers: count,
      readySeconds: ready,
      startProcessorMilliseconds: atStart,
      coveredSeconds: formed.covered,
      formedSeconds: formed.seconds,
      formedProcessorSeconds: formedProcessor,
      restMillisecondsPerSecond: median(rest),
      residentBytes: median(memory),
      residentBytesMost: maximum(memory),
      askedSeconds: asked,
      noticedSeconds: noticed.seconds,
      joinedSeconds: joined.seconds,
      broken,
      machine: describeMachine()
    }))
  } else {
    for (const line of machineLines(describeMachine())) say(line)
    say(broken.length === 0 ? 'all bars hold' : `broken: ${broken.join('; ')}`)
  }
  return broken.length === 0
}

let fine = false
try {
  fine = await main()
} finally {
  for (const peer of processes) peer.kill()
  await Promise.all(processes.map(async ({ ended }) => await ended))
  await asker.stop()
  rmSync(cache, { recursive: true, force: true })
}
process.exit(fine ? 0 : 1)
