/**
 * A peer under siege: the attacks of test/integration/siege.spec.ts, in any
 * number, with figures. The peer, the attackers and an honest client are
 * processes of this machine; the client writes the same text all the time.
 *
 *   node scripts/siege.ts [--inputs 10000] [--seed 20261] [--sockets 500] [--identities 150] [--hold 20] [--json]
 *
 * --hold: seconds for which sockets, connections, sessions and the client that does not read stay.
 */
import { parseArgs } from 'node:util'
import { setTimeout as pause } from 'node:timers/promises'
import { describeMachine, machineLines } from '../src/cli/machine.ts'
import { startSiege } from '../test/support/siege/index.ts'
import { maximum, median, tableLines } from './figures.ts'

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '20261' },
    sockets: { type: 'string', default: '500' },
    identities: { type: 'string', default: '150' },
    hold: { type: 'string', default: '20' },
    json: { type: 'boolean', default: false }
  }
})
const [inputs, seed, sockets, identities, hold] = [values.inputs, values.seed, values.sockets, values.identities, values.hold].map(Number)
const MEGABYTE = 1 << 20

const siege = await startSiege()
const { target, attacker, peer } = siege
const before = await peer.call('resources')

interface Row { attack: string, figures: string, texts: number, median: number, worst: number, newcomer: number, refusals: number, during: typeof before, after: typeof before }
const rows: Row[] = []

async function attack (name: string, run: () => Promise<string>): Promise<void> {
  const writer = await siege.write()
  const figures = await run()
  const during = await peer.call('resources')
  const { ids, milliseconds, refusals } = await siege.newcomer()
  await attacker.call('release')
  await writer.stop()
  for (const text of [...writer.texts, ids]) if (text.join() !== siege.undisturbed.join()) throw new Error(`${name}: another text`)
  const after = await siege.settled(({ connections, sessions, files, external }) => connections <= before.connections && sessions <= before.sessions && files <= before.files + 8 && external < before.external + 20 * MEGABYTE, 30_000)
  rows.push({ attack: name, figures, texts: writer.texts.length, median: median(writer.milliseconds), worst: maximum(writer.milliseconds), newcomer: milliseconds, refusals: refusals.length, during, after })
}

const share = (part: number): number => Math.round(inputs * part)
await attack('hostile inputs', async () => {
  const known = await peer.call('counts')
  const { sent, answered, closed, silent } = await attacker.call('fuzz', target, { stage: share(0.69), directory: share(0.07), blocks: share(0.09), info: share(0.02), announcements: share(0.09), answers: share(0.04) }, seed)
  const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((total, count) => total + count, 0)
  const judged = sum(await peer.call('counts')) - sum(known)
  return `${sum({ ...sent })} sent; ${sum({ ...answered })} answered, ${sum({ ...closed })} ended their stream, ${sum({ ...silent })} without reaction, ${judged} announcements judged`
})
await attack('silent sockets', async () => {
  const { opened } = await attacker.call('halfOpen', target, sockets)
  await pause(hold * 1000)
  return `${opened} opened`
})
await attack('connections', async () => {
  const { opened } = await attacker.call('connections', target, identities)
  await pause(hold * 1000)
  return `${opened} opened`
})
await attack('slow reader', async () => {
  const { sessions, steps } = await attacker.call('slowReader', target, 16)
  await pause(hold * 1000)
  return `${sessions} sessions, ${steps} prefills of 64 rows with all logits`
})
await attack('never closing', async () => {
  const { sessions, streams } = await attacker.call('neverClosing', target, 5, 16)
  await pause(hold * 1000)
  return `${sessions} sessions, ${streams} more streams`
})
await siege.stop()

if (values.json) {
  console.log(JSON.stringify({ calm: { median: median(siege.calm), worst: maximum(siege.calm) }, before, rows, machine: describeMachine() }))
} else {
  for (const line of machineLines(describeMachine())) console.log(line)
  console.log(`undisturbed, a token takes ${median(siege.calm).toFixed(1)} ms, at most ${maximum(siege.calm).toFixed(1)}; all texts are the same`)
  console.log('')
  const memory = ({ heapUsed, external }: typeof before): string => ((heapUsed + external) / MEGABYTE).toFixed(0)
  for (const line of tableLines([
    ['attack', 'texts', 'a token, ms', 'worst', 'a newcomer, ms', 'refusals', 'memory, MB: before', 'during', 'after', 'files: before', 'during', 'after'],
    ...rows.map(row => [row.attack, String(row.texts), row.median.toFixed(1), row.worst.toFixed(0), row.newcomer.toFixed(0), String(row.refusals), memory(before), memory(row.during), memory(row.after), String(before.files), String(row.during.files), String(row.after.files)])
  ])) console.log(line)
  console.log('')
  for (const { attack, figures } of rows) console.log(`${attack}: ${figures}`)
}
process.exit(0)
