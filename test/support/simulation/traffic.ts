import { chooseRoute, createMeasurements } from '../../../src/partition/index.ts'
import type { Measurements, RouteHolder } from '../../../src/partition/index.ts'
import type { UnitRange } from '../../../src/model/index.ts'
import { createRandom } from './random.ts'

export interface TrafficPeer {
  peer: string
  range: UnitRange
  /** seconds that a unit of work takes there */
  secondsPerWork: number
  announcedSpeed: number
  /** share of its time that it owns up to, or `expected`: claims what the client expects of it */
  claims?: number | 'expected'
}

export interface TrafficInit {
  seed: number
  unitWork: readonly number[]
  peers: readonly TrafficPeer[]
  clients: number
  /** sessions of each client, and steps of each session */
  sessions: number
  steps: number
  hopSeconds: number
}

/** Work that peers were given over the last half of the sessions, by peer, when clients measure them, and choose by that. */
export function simulateTraffic ({ seed, unitWork, peers, clients, sessions, steps, hopSeconds }: TrafficInit): Map<string, number> {
  const random = createRandom(seed)
  const work = new Map(peers.map(({ peer }) => [peer, 0]))
  const byName = new Map(peers.map(peer => [peer.peer, peer]))
  const measurements = Array.from({ length: clients }, () => createMeasurements(unitWork))
  let atSeconds = 0
  for (const measured of measurements) for (const { peer } of peers) measured.recordPing(peer, hopSeconds, 0)
  for (let session = 0; session < sessions; session++) {
    for (const [client, measured] of measurements.entries()) {
      const stages = route(measured, `client ${client} session ${session}`)
      for (let step = 0; step < steps; step++) {
        const times = stages.map(({ peer, range }) => byName.get(peer)!.secondsPerWork * workOf(unitWork, range) * (0.9 + 0.2 * random()))
        measured.recordStep({
          stages: stages.map(({ peer, range }, index) => {
            const { claims = 1 } = byName.get(peer)!
            return { peer, range, claimedSeconds: claims === 'expected' ? (measured.secondsPerWork(peer) ?? 0) * workOf(unitWork, range) : times[index] * claims }
          }),
          totalSeconds: times.reduce((a, b) => a + b, 0) + hopSeconds * (stages.length + 1),
          rows: 1,
          atSeconds: atSeconds += 0.01
        })
      }
      if (2 * session >= sessions) for (const { peer, range } of stages) work.set(peer, work.get(peer)! + workOf(unitWork, range))
    }
  }
  return work

  function route (measured: Measurements, seed: string) {
    const holders = peers.map(({ peer, range, announcedSpeed }): RouteHolder => ({ peer, range, announcedSpeed, secondsPerWork: measured.secondsPerWork(peer) }))
    const { hopSeconds, leastHopSeconds } = measured
    const chosen = chooseRoute({ span: { from: 0, to: unitWork.length }, holders, unitWork, hopSeconds, leastHopSeconds, spread: { seed } })
    if (!('stages' in chosen)) throw new Error('no route')
    return chosen.stages
  }
}

function workOf (unitWork: readonly number[], { from, to }: UnitRange): number {
  return unitWork.slice(from, to).reduce((sum, unit) => sum + unit, 0)
}
