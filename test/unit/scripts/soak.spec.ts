import { expect } from 'chai'
import { chooseAct, chooseTrouble } from '../../../scripts/soak/churn.ts'
import type { Place } from '../../../scripts/soak/churn.ts'
import { emptyOutcome } from '../../../scripts/soak/client.ts'
import { trends } from '../../../scripts/soak/needs.ts'
import type { Needs } from '../../../scripts/soak/needs.ts'
import { summarise } from '../../../scripts/soak/report.ts'
import type { Run } from '../../../scripts/soak/report.ts'
import { createRandom } from '../../support/simulation/random.ts'

const places = (): Place[] => Array.from({ length: 8 }, (_value, index) => ({ part: index % 4, state: 'serving', stays: index === 0 || index === 5 }))

describe('soak', () => {
  describe('churn', () => {
    it('kills and starts, lets gaps happen one at a time, and never touches those who stay', () => {
      const swarm = places()
      const random = createRandom(1)
      const seen = { kill: 0, start: 0, gaps: 0 }
      for (let turn = 0; turn < 500; turn++) {
        const act = chooseAct(swarm, random)!
        seen[act.kind]++
        const place = swarm[act.place]
        expect(place.stays).to.equal(false)
        expect(place.state).to.equal(act.kind === 'kill' ? 'serving' : 'dead')
        place.state = act.kind === 'kill' ? 'dead' : 'serving'
        const empty = [0, 1, 2, 3].filter(part => !swarm.some(other => other.part === part && other.state === 'serving'))
        expect(empty).to.have.length(act.gap ? 1 : 0)
        if (act.gap) {
          seen.gaps++
          place.state = 'serving'
        }
        expect(swarm.filter(({ state }) => state === 'dead').length).to.be.at.most(3)
      }
      expect(seen.kill).to.be.above(150)
      expect(seen.start).to.be.above(100)
      expect(seen.gaps).to.be.within(10, 200)
    })

    it('is the same for a seed', () => {
      const run = (seed: number) => {
        const random = createRandom(seed)
        return Array.from({ length: 20 }, () => [chooseAct(places(), random), chooseTrouble(places(), random)])
      }
      expect(run(3)).to.deep.equal(run(3))
      expect(run(3)).to.not.deep.equal(run(4))
    })

    it('waits where nothing is there to be killed or started', () => {
      const starting = places().map((place): Place => ({ ...place, state: 'starting' }))
      expect(chooseAct(starting, Math.random)).to.equal(undefined)
      expect(chooseTrouble(starting, Math.random)).to.equal(undefined)
    })
  })

  describe('verdict', () => {
    const samples = (growth: number): Needs[] => Array.from({ length: 60 }, (_value, index) => ({ seconds: index * 20, residentBytes: 100e6 + index * growth, heapBytes: 20e6, externalBytes: 5e6, handles: 30 }))
    const run = (changes: Partial<Run> = {}): Run => ({
      seconds: 1200, counts: { kills: 1, starts: 1, gaps: 0, cuts: 0, freezes: 0, gapSeconds: 0 }, outcome: { ...emptyOutcome(), tokens: 10, texts: 1 }, trends: trends('peer', samples(0)), residentBytes: [1], oddities: [], ...changes
    })

    it('sees growth, and no growth in noise', () => {
      expect(trends('peer', samples(2e6)).map(({ flat }) => flat)).to.deep.equal([false, true, true, true])
      expect(trends('peer', samples(1e5)).every(({ flat }) => flat)).to.equal(true)
    })

    it('is clean where every bar holds', () => {
      expect(summarise(run()).broken).to.deep.equal([])
    })

    it('names each bar that is broken', () => {
      const outcome = { ...emptyOutcome(), tokens: 10, wrong: ['w'], unclear: ['u', 'u'] }
      expect(summarise(run({ outcome, oddities: ['o'], trends: trends('peer', samples(2e6)) })).broken).to.deep.equal([
        'no text came to its end', '1 tokens are wrong', '2 sessions were lost without a clear error', '1 processes ended or said what they should not', 'peer: residentBytes has grown'
      ])
    })
  })
})
