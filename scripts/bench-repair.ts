/**
 * What the loss of a peer in mid-text costs: the time of the step that it
 * interrupts, beyond the usual. Peers are processes on 127.0.0.1, two for each
 * stage; every text is compared with the undisturbed one.
 *
 *   node scripts/bench-repair.ts --model MODEL [--stages 4] [--prompt 64] [--tokens 24] [--runs 5] [--kinds kill,two,again,freeze,drain] [--json]
 *
 * kill: SIGKILL of one stage. two: of two at once. again: of the stage before it
 * too, once the repair has begun. freeze: SIGSTOP. drain: the peer leaves in order.
 */
import { parseArgs } from 'node:util'
import { connectRoute, createPeerNode, openModel } from '../src/index.ts'
import { describeMachine, machineLines } from '../src/cli/machine.ts'
import { maximum, median, tableLines } from './figures.ts'
import { startPeer, tokensAt } from './peer-process.ts'
import type { UnitRange } from '../src/model/index.ts'
import type { RouteProgress, RouteRepair, RouteSession } from '../src/peer/index.ts'
import type { PeerProcess } from './peer-process.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    stages: { type: 'string', default: '4' },
    prompt: { type: 'string', default: '64' },
    tokens: { type: 'string', default: '24' },
    runs: { type: 'string', default: '5' },
    kinds: { type: 'string', default: 'kill,two,again,freeze,drain' },
    json: { type: 'boolean', default: false }
  }
})
if (values.model === undefined) {
  console.error('usage: node scripts/bench-repair.ts --model MODEL [--stages 4] [--prompt 64] [--tokens 24] [--runs 5] [--kinds kill,two,again,freeze,drain] [--json]')
  process.exit(2)
}
type Kind = 'kill' | 'two' | 'again' | 'freeze' | 'drain'
const kinds = values.kinds.split(',') as Kind[]
const [stageCount, promptTokens, tokens, runs] = [values.stages, values.prompt, values.tokens, values.runs].map(Number)
const modelPath = values.model
const model = await openModel(modelPath)
const { architecture } = model
const units = architecture.layerCount + 2

const ranges = Array.from({ length: stageCount }, (_value, index): UnitRange => ({ from: Math.round(index * units / stageCount), to: Math.round((index + 1) * units / stageCount) }))
const peers = new Map<string, { peer: PeerProcess, range: UnitRange }>()

async function addPeer (range: UnitRange): Promise<void> {
  const peer = await startPeer({ model: modelPath, threads: 1, range, positions: 4096 })
  peers.set(peer.address.split('/p2p/')[1], { peer, range })
}

for (const range of [...ranges, ...ranges]) await addPeer(range)
const node = createPeerNode({})
await node.start()

interface Text {
  ids: number[]
  /** of each step */
  milliseconds: number[]
  repairs: RouteRepair[]
}

async function write (at: number, fault: (session: RouteSession) => void, onEvent: (event: RouteProgress, session: RouteSession | undefined) => void): Promise<Text> {
  const text: Text = { ids: [], milliseconds: [], repairs: [] }
  const state: { session?: RouteSession } = {}
  const session = state.session = await connectRoute({
    node,
    addresses: [...peers.values()].map(({ peer }) => peer.address),
    model,
    onProgress: event => {
      if (event.type === 'route:repaired') text.repairs.push(event.repair)
      onEvent(event, state.session)
    }
  })
  let next = tokensAt(0, promptTokens, architecture.vocabularySize)
  while (text.ids.length < tokens) {
    const started = performance.now()
    const step = session.step({ tokens: next, outputs: [{ row: next.length - 1, output: { kind: 'top', count: 1 } }] })
    if (text.ids.length === at) fault(session)
    const [row] = await step
    text.milliseconds.push(performance.now() - started)
    text.ids.push(row.ids![0])
    next = Uint32Array.of(row.ids![0])
  }
  await session.close()
  return text
}

const undisturbed = await write(-1, () => {}, () => {})
interface Outcome { pause: number, repair: number, replayed: number, attempts: number }
const outcomes = new Map<Kind, Outcome[]>(kinds.map(kind => [kind, []]))
/** Time of a step that nothing happens to. */
const usual: number[] = undisturbed.milliseconds.slice(1)

for (let run = 0; run < runs; run++) {
  for (const kind of kinds) {
    for (let stage = 0; stage < stageCount; stage++) {
      const hit = new Set<string>()
      const at = 1 + (run * 7 + stage * 3) % (tokens - 2)
      const strike = (session: RouteSession, index: number, signal: NodeJS.Signals): void => {
        const { peerId } = session.route[(index + stageCount) % stageCount]
        hit.add(peerId!)
        process.kill(peers.get(peerId!)!.peer.pid, signal)
      }
      let begun = false
      const text = await write(at, session => {
        begun = true
        if (kind === 'drain') {
          const { peerId } = session.route[stage]
          hit.add(peerId!)
          peers.get(peerId!)!.peer.drain().catch(() => {})
        } else {
          strike(session, stage, kind === 'freeze' ? 'SIGSTOP' : 'SIGKILL')
          if (kind === 'two') strike(session, stage + 1, 'SIGKILL')
        }
      }, (event, session) => {
        if (kind === 'again' && begun && event.type === 'route:failed' && hit.size === 1) strike(session!, stage - 1, 'SIGKILL')
      })
      if (text.ids.join() !== undisturbed.ids.join()) throw new Error(`${kind} of stage ${stage + 1} at token ${at} changed the text`)
      if (text.repairs.length === 0) throw new Error(`${kind} of stage ${stage + 1} at token ${at}: nothing was repaired`)
      const slow = text.milliseconds.slice(at, at + 3)
      outcomes.get(kind)!.push({
        pause: slow.reduce((sum, time) => sum + time, 0) - slow.length * median(usual),
        repair: text.repairs.reduce((sum, { milliseconds }) => sum + milliseconds, 0),
        replayed: text.repairs.reduce((sum, { replayedPositions }) => sum + replayedPositions, 0),
        attempts: text.repairs.reduce((sum, { attempts }) => sum + attempts, 0)
      })
      usual.push(...text.milliseconds.slice(1, at), ...text.milliseconds.slice(at + 3))
      for (const peerId of hit) {
        const { peer, range } = peers.get(peerId)!
        peer.close()
        peers.delete(peerId)
        await addPeer(range)
      }
    }
  }
}

const rows = kinds.map(kind => {
  const list = outcomes.get(kind)!
  const of = (field: keyof Outcome): number[] => list.map(outcome => outcome[field])
  return { kind, times: list.length, pauseMedian: median(of('pause')), pauseWorst: maximum(of('pause')), repairMedian: median(of('repair')), repairWorst: maximum(of('repair')), replayedMedian: median(of('replayed')), attempts: maximum(of('attempts')) }
})
if (values.json) {
  console.log(JSON.stringify({ model: model.modelId, stages: stageCount, prompt: promptTokens, tokens, stepMilliseconds: median(usual), rows, machine: describeMachine() }))
} else {
  for (const line of machineLines(describeMachine())) console.log(line)
  console.log(`${stageCount} stages, prompt of ${promptTokens} tokens, ${tokens} tokens; a step takes ${median(usual).toFixed(2)} ms; all texts are the same`)
  console.log('')
  const milliseconds = (value: number): string => value.toFixed(value < 100 ? 1 : 0)
  for (const line of tableLines([['what happens', 'times', 'pause, ms', 'worst', 'of it repair, ms', 'worst', 'positions replayed', 'attempts at most'], ...rows.map(row => [
    row.kind, String(row.times), milliseconds(row.pauseMedian), milliseconds(row.pauseWorst), milliseconds(row.repairMedian), milliseconds(row.repairWorst), String(row.replayedMedian), String(row.attempts)
  ])])) console.log(line)
}
process.exit(0)
