/**
 * A swarm that is never left in peace: eight peer processes of which every ten
 * seconds one is killed or started, links that are slow, cut or frozen, and six
 * clients that write all the time. Every token is compared with that of the
 * undisturbed text.
 *
 *   node scripts/soak.ts [--minutes 20] [--seed 1] [--clients 6] [--quiet] [--json]
 *
 * Ends with code 1 where a token was wrong, a session was lost without a clear
 * error, a process ended by itself, or memory or open files have grown.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { describeMachine, machineLines } from '../src/cli/machine.ts'
import { createRandom } from '../test/support/simulation/random.ts'
import { chooseAct, chooseTrouble } from './soak/churn.ts'
import { startClients } from './soak/clients.ts'
import { trends } from './soak/needs.ts'
import { reportLines, summarise } from './soak/report.ts'
import { createSoakSwarm } from './soak/swarm.ts'

/** A peer is killed or started this often. */
const ACT_SECONDS = 10
/** A link is cut or frozen this often. */
const TROUBLE_SECONDS = 15
/** What processes need is asked this often. */
const MEASURE_SECONDS = 10
/** A part that nobody hosts is served again after so long, and the time that a peer takes to start. */
const GAP_MILLISECONDS = 2_500
/** What is being written when the run is over may come to its end. */
const END_MILLISECONDS = 120_000

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    clients: { type: 'string', default: '6' },
    quiet: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false }
  }
})
const [minutes, seed, clientCount] = [values.minutes, values.seed, values.clients].map(Number)
const model = fileURLToPath(new URL('../models/sotu-4m', import.meta.url))
const random = createRandom(seed)
const began = performance.now()
const say = (text: string): void => { if (!values.quiet && !values.json) console.log(`${((performance.now() - began) / 1000).toFixed(0).padStart(5)} s  ${text}`) }

const swarm = await createSoakSwarm({ model, random: createRandom(seed + 1) })
const stays = swarm.places.flatMap(({ stays }, place) => stays ? place : [])
for (const place of stays) await swarm.start(place)
await Promise.all(swarm.places.flatMap((_place, place) => stays.includes(place) ? [] : swarm.start(place)))
const clients = await startClients({ model, text: fileURLToPath(new URL('../models/sotu-4m/heldout.txt', import.meta.url)), addresses: swarm.addresses, seed }, 2, clientCount)
say(`${swarm.places.length} peers serve, and ${clientCount} clients write`)

const started = performance.now()
const elapsed = (): number => (performance.now() - started) / 1000
const counts = { kills: 0, starts: 0, gaps: 0, cuts: 0, freezes: 0, gapSeconds: 0 }
const pending = new Set<Promise<void>>()

function begin (place: number): void {
  const starting = swarm.start(place).then(() => { counts.starts++ }, error => { swarm.oddities.push(String(error)) })
  pending.add(starting)
  starting.finally(() => pending.delete(starting))
}

function act (): void {
  const chosen = chooseAct(swarm.places, random)
  if (chosen === undefined) return
  const { kind, place, gap } = chosen
  say(`${kind} ${place + 1}${gap ? ': its layers are gone for a while' : ''}`)
  if (kind === 'start') return begin(place)
  swarm.kill(place)
  counts.kills++
  if (!gap) return
  counts.gaps++
  setTimeout(begin, GAP_MILLISECONDS, place)
}

function trouble (): void {
  const chosen = chooseTrouble(swarm.places, random)
  if (chosen === undefined) return
  const { kind, place, milliseconds } = chosen
  say(`${kind} ${place + 1} for ${(milliseconds / 1000).toFixed(1)} s`)
  swarm[kind](place, milliseconds)
  counts[kind === 'cut' ? 'cuts' : 'freezes']++
}

async function measure (): Promise<void> {
  await Promise.all([swarm.measure(elapsed()), clients.measure(elapsed()).catch(error => { swarm.oddities.push(`clients do not answer: ${error}`) })])
  const { tokens, wrong, unclear, repairs, interrupted, refused } = clients.outcome
  say(`${tokens} tokens, ${wrong.length} wrong, ${unclear.length} unclear, ${repairs} repairs, ${JSON.stringify({ refused, interrupted })}`)
}

const due = { act: ACT_SECONDS, trouble: TROUBLE_SECONDS / 2, measure: MEASURE_SECONDS }
while (elapsed() < minutes * 60) {
  await pause(200)
  if (swarm.missing > 0) counts.gapSeconds += 0.2
  if (elapsed() >= due.act) {
    due.act += ACT_SECONDS
    act()
  }
  if (elapsed() >= due.trouble) {
    due.trouble += TROUBLE_SECONDS
    trouble()
  }
  if (elapsed() >= due.measure) {
    due.measure += MEASURE_SECONDS
    await measure()
  }
}
// every layer is served while texts come to their end
await pause(GAP_MILLISECONDS)
await Promise.all(pending)
await Promise.all(swarm.places.flatMap(({ state }, place) => state === 'dead' ? swarm.start(place) : []))
const cameToEnd = await clients.end(END_MILLISECONDS)
const oddities = [...swarm.oddities, ...clients.oddities, ...cameToEnd ? [] : [`clients did not come to an end within ${END_MILLISECONDS / 1000} s`]]
const report = summarise({
  seconds: minutes * 60,
  counts,
  outcome: clients.outcome,
  trends: [...swarm.needs, ...clients.needs].flatMap(({ name, samples }) => trends(name, samples)),
  residentBytes: swarm.residentBytes,
  oddities
})
clients.stop()
await swarm.stop()

if (values.json) {
  console.log(JSON.stringify({ minutes, seed, ...report, machine: describeMachine() }))
} else {
  for (const line of [...machineLines(describeMachine()), ...reportLines(report)]) console.log(line)
}
process.exit(report.broken.length === 0 ? 0 : 1)
