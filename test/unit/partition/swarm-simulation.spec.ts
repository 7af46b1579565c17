import { expect } from 'chai'
import { createChurn } from '../../support/simulation/churn.ts'
import { createSwarm } from '../../support/simulation/swarm.ts'
import type { SimulatedPeerInit, Swarm, SwarmInit } from '../../support/simulation/swarm.ts'

const MINUTE = 60_000
const range = (from: number) => ({ from, to: from + 8 })
const at = (id: string, from: number, speed = 100, more: Partial<SimulatedPeerInit> = {}): SimulatedPeerInit => ({ id, range: range(from), speed, units: 8, ...more })

function swarmOf (peers: SimulatedPeerInit[], init: Partial<SwarmInit> = {}): Swarm {
  const swarm = createSwarm({ seed: 1, unitWork: new Array(24).fill(1), ...init })
  for (const peer of peers) swarm.join(peer)
  return swarm
}

const ended = (swarm: Swarm) => swarm.moves.map(({ from, to }) => `${from.from} to ${to.from}`)
const four = [at('a', 0), at('b', 0), at('c', 0), at('d', 0), at('e', 8)]

describe('partition: simulated swarm', () => {
  describe('where Petals moves too many', () => {
    for (const beside of [true, false]) {
      const how = beside ? 'loading before dropping' : 'with no room for two ranges'
      it(`fills one gap with one of four duplicates, ${how}`, () => {
        for (let seed = 1; seed <= 10; seed++) {
          const swarm = swarmOf(four.map(peer => ({ ...peer, beside })), { seed, loss: 0.1 })
          swarm.run(60 * MINUTE)
          expect(ended(swarm), `seed ${seed}`).to.deep.equal(['0 to 16'])
          expect(swarm.violations).to.deep.equal([])
        }
      })
    }

    it('also where all four may claim at once: claims decide before anything is loaded', () => {
      for (let seed = 1; seed <= 10; seed++) {
        const swarm = swarmOf(four, { seed, timing: { turn: 0, check: 1_000 } })
        swarm.run(15 * MINUTE)
        expect(ended(swarm), `seed ${seed}`).to.deep.equal(['0 to 16'])
        expect(swarm.counts.drops).to.equal(1)
      }
    })

    it('moves one of two to a place that is weaker by more than a quarter, and none to one that is not', () => {
      for (const [speed, moves] of [[40, ['0 to 16']], [80, []]] as const) {
        const swarm = swarmOf([at('a', 0), at('d', 0), at('b', 8), at('c', 16, speed)])
        swarm.run(60 * MINUTE)
        expect(ended(swarm)).to.deep.equal(moves)
      }
    })

    it('moves two of four duplicates where that doubles the weakest unit', () => {
      const swarm = swarmOf([...four, at('f', 16)])
      swarm.run(60 * MINUTE)
      expect(ended(swarm).toSorted()).to.deep.equal(['0 to 16', '0 to 8'])
      expect(swarm.throughput().every(value => value === 25)).to.equal(true)
    })
  })

  describe('lies', () => {
    it('about speed displace nobody', () => {
      const swarm = swarmOf([at('a', 0), at('liar', 0, 1, { announces: 1e9 }), at('b', 8), at('c', 16, 50)])
      swarm.run(120 * MINUTE)
      expect(swarm.moves).to.deep.equal([])
    })

    it('about speed do not keep help away', () => {
      const swarm = swarmOf([at('a', 0), at('b', 0), at('c', 8), at('liar', 16, 1, { announces: 1e9, kind: 'pinned' })])
      swarm.run(60 * MINUTE)
      expect(ended(swarm)).to.deep.equal(['0 to 16'])
    })

    it('about what is served make nobody leave it', () => {
      const swarm = swarmOf([at('a', 0), at('b', 8), ...[1, 2, 3].map(i => at(`ghost ${i}`, 0, 100, { kind: 'ghost' as const }))])
      swarm.run(60 * MINUTE)
      expect(swarm.moves).to.deep.equal([])
    })

    it('about what will be served keep a gap open for a time only', () => {
      const swarm = swarmOf([at('a', 0), at('b', 0), at('c', 8), at('blocker', 0, 100, { kind: 'ghost', blocks: range(16) })])
      swarm.run(60 * MINUTE)
      expect(ended(swarm)).to.deep.equal(['0 to 16'])
    })
  })

  it('forms from peers that all start at once with nothing', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const swarm = createSwarm({ seed, unitWork: new Array(24).fill(1), loss: 0.1 })
      for (let i = 0; i < 12; i++) swarm.join({ id: `p${i}`, speed: 100, units: 8 })
      swarm.run(10 * MINUTE)
      expect(Math.min(...swarm.holders()), `seed ${seed}`).to.be.at.least(2)
    }
  })

  it('does not flap because one peer does', () => {
    const swarm = swarmOf([at('a', 0), at('b', 0), at('c', 8), at('d', 8)])
    let round = 0
    const flap = () => {
      const id = `flapping ${round++}`
      swarm.join(at(id, 16, 100, { kind: 'pinned' }))
      swarm.schedule(3 * MINUTE, () => {
        swarm.crash(id)
        swarm.schedule(3 * MINUTE, flap)
      })
    }
    flap()
    swarm.run(180 * MINUTE)
    expect(swarm.moves).to.have.length(1)
    expect(swarm.violations).to.deep.equal([])
  })

  it('drops nothing for good while it is cut in two, and none too many when it heals', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const swarm = swarmOf(['a', 'b', 'c', 'd', 'e', 'f'].map((id, index) => at(id, index % 3 * 8)).concat(at('g', 0), at('h', 0)), { seed })
      swarm.run(10 * MINUTE)
      swarm.cut(id => ['a', 'b', 'd', 'g'].includes(id) ? 1 : 2)
      swarm.run(30 * MINUTE)
      swarm.heal()
      swarm.run(60 * MINUTE)
      expect(swarm.violations).to.deep.equal([])
      expect(swarm.uncovered).to.equal(0)
      expect(Math.min(...swarm.holders())).to.be.at.least(2)
      expect(swarm.moves.length).to.be.at.most(4)
    }
  })

  it('never drops a last holder by itself where claims come too late: without confirmations this drops dozens', () => {
    let moves = 0
    for (let seed = 1; seed <= 40; seed++) {
      const swarm = swarmOf([at('a', 0), at('b', 0), at('c', 8), at('d', 8)], {
        seed, delay: [20, 14_000], loss: 0.6, drain: 3_000, loadUnit: 300, timing: { turn: 0, check: 1_000, settle: 1_000 }
      })
      swarm.run(30 * MINUTE)
      expect(swarm.violations, `seed ${seed}`).to.deep.equal([])
      moves += swarm.moves.length
    }
    expect(moves).to.be.above(100)
  })

  it('never drops a last holder by itself, with little room, lost announcements, failed loads and churn', function () {
    this.timeout(60_000)
    let moves = 0
    for (let seed = 1; seed <= 12; seed++) {
      const swarm = createChurn({ seed, peers: 16, units: 64, room: [4, 8], perHour: 0.5, loss: 0.1, loadFailure: 0.1 })
      swarm.run(180 * MINUTE)
      expect(swarm.violations, `seed ${seed}`).to.deep.equal([])
      moves += swarm.moves.length
    }
    expect(moves).to.be.above(50)
  })

  it('covers every unit at all times where capacity allows: 100 peers, 30 % an hour, a fifth of them liars', function () {
    this.timeout(60_000)
    const swarm = createChurn({ seed: 2, peers: 100, units: 64, room: [4, 12], perHour: 0.3, liars: 0.2 })
    swarm.run(120 * MINUTE)
    expect(swarm.violations).to.deep.equal([])
    expect(swarm.uncovered).to.equal(0)
    expect(swarm.moves.length / 100 / 2, 'moves of a peer in an hour').to.be.below(0.3)
  })

  it('the same with 1,000 peers', function () {
    this.timeout(120_000)
    const swarm = createChurn({ seed: 3, peers: 1000, units: 64, room: [4, 12], perHour: 0.3, timing: { check: 2 * MINUTE } })
    swarm.run(15 * MINUTE)
    expect(swarm.counts.joins).to.be.above(50)
    expect(swarm.violations).to.deep.equal([])
    expect(swarm.uncovered).to.equal(0)
    expect(swarm.moves.length / 1000 * 4, 'moves of a peer in an hour').to.be.below(0.05)
  })
})
