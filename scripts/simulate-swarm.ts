/**
 * A swarm of simulated peers that come, go and move, each deciding with the
 * program's own placement planner: what it does to coverage, and how much
 * moving it takes.
 *
 *   node scripts/simulate-swarm.ts [--peers 1000] [--units 64] [--room 4:12]
 *     [--per-hour 0.3] [--hours 1] [--liars 0] [--pinned 0] [--loss 0.02]
 *     [--load-failure 0] [--seed 1] [--check 30] [--json]
 */
import { parseArgs } from 'node:util'
import { createChurn } from '../test/support/simulation/churn.ts'
import { maximum, median, minimum, tableLines } from './figures.ts'

const { values } = parseArgs({
  options: {
    peers: { type: 'string', default: '1000' },
    units: { type: 'string', default: '64' },
    room: { type: 'string', default: '4:12' },
    'per-hour': { type: 'string', default: '0.3' },
    hours: { type: 'string', default: '1' },
    liars: { type: 'string', default: '0' },
    pinned: { type: 'string', default: '0' },
    loss: { type: 'string', default: '0.02' },
    'load-failure': { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    check: { type: 'string', default: '30' },
    json: { type: 'boolean', default: false }
  }
})
const [least, most] = values.room.split(':').map(Number)
const hours = Number(values.hours)
const peers = Number(values.peers)
const swarm = createChurn({
  seed: Number(values.seed),
  peers,
  units: Number(values.units),
  room: [least, most],
  perHour: Number(values['per-hour']),
  liars: Number(values.liars),
  pinned: Number(values.pinned),
  loss: Number(values.loss),
  loadFailure: Number(values['load-failure']),
  timing: { check: Number(values.check) * 1000 }
})

const holders: number[] = []
const balance: number[] = []
for (let minute = 0; minute < hours * 60; minute++) {
  swarm.run(60_000)
  holders.push(minimum(swarm.holders()))
  const throughput = swarm.throughput()
  balance.push(minimum(throughput) * throughput.length / throughput.reduce((sum, value) => sum + value, 0))
}
const figures = {
  peers,
  hours,
  peersAtTheEnd: swarm.alive().length,
  joined: swarm.counts.joins,
  moves: swarm.moves.length,
  movesPerPeerAndHour: swarm.moves.length / peers / hours,
  claims: swarm.counts.claims,
  claimsGivenUp: swarm.counts.cancels,
  uncoveredUnitSeconds: swarm.uncovered / 1000,
  fewestHolders: minimum(holders),
  weakestOverMean: { median: median(balance), least: minimum(balance), most: maximum(balance) },
  lastHoldersDropped: swarm.violations.length,
  lastHoldersDroppedAsAnotherDied: swarm.unlucky,
  probesPerPeerAndMinute: swarm.counts.probes / peers / hours / 60,
  decisions: swarm.counts.decisions
}
if (values.json) {
  console.log(JSON.stringify(figures))
} else {
  const text = (value: unknown) => typeof value === 'number' ? String(Number(value.toFixed(4))) : JSON.stringify(value)
  for (const line of tableLines([['figure', 'value'], ...Object.entries(figures).map(([name, value]) => [name, text(value)])])) console.log(line)
}
