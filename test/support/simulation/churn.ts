import { chooseRange, unitThroughput } from '../../../src/partition/index.ts'
import type { UnitRange } from '../../../src/model/index.ts'
import { createRandom, exponential } from './random.ts'
import { createSwarm } from './swarm.ts'
import type { SimulatedPeerInit, Swarm, SwarmInit } from './swarm.ts'

export interface ChurnInit extends Omit<SwarmInit, 'unitWork'> {
  peers: number
  units: number
  /** units that peers have room for, at least and at most */
  room: readonly [number, number]
  /** share of the peers that go within an hour, half of them without a word; as many come */
  perHour: number
  /** share of peers that say they are 10⁹ fast and are as slow as a peer can be */
  liars?: number
  /** share of peers whose owners have said what they serve */
  pinned?: number
}

/** A swarm in which peers of different size and speed come and go. It begins with all of them in good places. */
export function createChurn (init: ChurnInit): Swarm {
  const { peers, units, room: [least, most], perHour, liars = 0, pinned = 0, seed } = init
  const unitWork = Array.from({ length: units }, () => 1)
  const swarm = createSwarm({ ...init, unitWork })
  const random = createRandom(seed + 1)
  const rate = peers * perHour / 3_600_000
  let next = 0

  function newPeer (): SimulatedPeerInit {
    const id = `p${String(next++).padStart(5, '0')}`
    // from 1 to 10, small ones more often
    const honest = 10 ** random()
    const lies = random() < liars
    return { id, speed: lies ? 0.1 : honest, announces: lies ? 1e9 : honest, units: least + Math.floor(random() * (most - least + 1)), beside: random() < 0.5 }
  }

  const placed: Array<{ ranges: UnitRange[], speed: number }> = []
  for (let i = 0; i < peers; i++) {
    const peer = newPeer()
    const capacity = unitWork.map((_, from) => ({ from, to: Math.min(units, from + peer.units) }))
    const range = chooseRange({ unitWork, throughput: unitThroughput(placed, unitWork), capacity, speed: peer.speed })!
    placed.push({ ranges: [range], speed: peer.speed })
    swarm.join({ ...peer, range, kind: random() < pinned ? 'pinned' : undefined })
  }

  function come (): void {
    swarm.join(newPeer())
    swarm.schedule(exponential(random, rate), come)
  }

  function go (): void {
    const alive = swarm.alive()
    const id = alive[Math.floor(random() * alive.length)]
    if (random() < 0.5) swarm.leave(id)
    else swarm.crash(id)
    swarm.schedule(exponential(random, perHour / 3_600_000 * alive.length), go)
  }

  if (rate > 0) {
    swarm.schedule(exponential(random, rate), come)
    swarm.schedule(exponential(random, rate), go)
  }
  return swarm
}
