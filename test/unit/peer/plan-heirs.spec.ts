import { expect } from 'chai'
import { planHeirs } from '../../../src/peer/client/plan-heirs.ts'
import type { StageState } from '../../../src/peer/client/plan-repair.ts'
import type { StageDescription } from '../../../src/peer/index.ts'
import { STUB_ARCHITECTURE } from '../../support/stub-engine.ts'

const stage = (number: number, from: number, to: number, peerId?: string): StageDescription => ({ stage: number, range: { from, to }, local: peerId === undefined, peerId })
const whole: StageState = { held: 500, kept: 500 }
const empty: StageState = { held: 0, kept: 0 }

describe('peer/client: who can be handed keys and values', () => {
  const heirs = (stages: StageDescription[], states: StageState[], leaving: StageDescription[]): unknown =>
    planHeirs({ stages, states, leaving, architecture: STUB_ARCHITECTURE, length: 500 }).map(({ stage, peerId, giver, bytesPerPosition }) => [stage, peerId, giver, bytesPerPosition])

  it('nobody, where somebody is lost without a giver, the client itself lacks positions, or there are no layers', () => {
    const leaving = [stage(2, 2, 4, 'old')]
    expect(heirs([stage(1, 0, 2, 'a'), stage(2, 2, 4, 'new')], [whole, empty], [])).to.deep.equal([])
    expect(heirs([stage(1, 0, 2, 'a'), stage(2, 2, 4, 'new'), stage(3, 4, 6, 'b')], [whole, empty, empty], leaving)).to.deep.equal([])
    expect(heirs([stage(1, 0, 2, 'a'), stage(2, 2, 4)], [whole, empty], leaving)).to.deep.equal([])
    expect(heirs([stage(1, 0, 2, 'a'), stage(2, 2, 5, 'new')], [whole, empty], leaving)).to.deep.equal([])
    expect(heirs([stage(1, 0, 5, 'a'), stage(2, 5, 6, 'new')], [whole, empty], [stage(2, 5, 6, 'old')])).to.deep.equal([])
    expect(heirs([stage(1, 0, 2, 'a'), stage(2, 2, 4, 'new')], [whole, whole], leaving)).to.deep.equal([])
    // one layer of nine: to read the others would cost the giver more than is worth it
    const deep = { ...STUB_ARCHITECTURE, layerCount: 9 }
    for (const [layers, count] of [[9, 0], [8, 1]]) {
      const plan = planHeirs({ stages: [stage(1, 0, 2, 'new'), stage(2, 2, 11, 'a')], states: [empty, whole], leaving: [stage(1, 0, layers + 1, 'old')], architecture: deep, length: 500 })
      expect(plan).to.have.length(count)
    }
  })

  it('whoever takes over a range that leaves, or a part of it', () => {
    // a position of a layer: a key and a value of 16 codes and one scale
    expect(heirs([stage(1, 0, 2, 'a'), stage(2, 2, 4, 'new')], [whole, { held: 32, kept: 32 }], [stage(2, 2, 4, 'old')])).to.deep.equal([[2, 'new', 'old', 80]])
    expect(heirs([stage(1, 0, 2, 'x'), stage(2, 2, 6, 'y')], [empty, empty], [stage(1, 0, 6, 'old')])).to.deep.equal([[1, 'x', 'old', 40], [2, 'y', 'old', 120]])
    expect(heirs([stage(1, 0, 2, 'x'), stage(2, 2, 6, 'y')], [empty, empty], [stage(1, 0, 2, 'one'), stage(2, 2, 6, 'two')])).to.deep.equal([[1, 'x', 'one', 40], [2, 'y', 'two', 120]])
  })
})
