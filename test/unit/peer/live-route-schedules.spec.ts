import { expect } from 'chai'
import fc from 'fast-check'
import { createStubStages } from '../../support/stub-stages.ts'
import type { Fault } from '../../support/stub-stages.ts'
import { referenceSession, stubRoute } from '../../support/stub-route.ts'

const ids = (length: number, seed: number): Uint32Array => Uint32Array.from({ length }, (_value, index) => Math.imul(index + seed, 0x9E3779B1) >>> 26)

/** Where the units are cut; every part has three peers, and one more peer, which never fails, has all. */
const cuts = fc.constantFrom([0, 6], [0, 3, 6], [0, 2, 4, 6], [0, 1, 3, 6], [0, 1, 2, 4, 6])
const fault = fc.record({ part: fc.nat(3), copy: fc.nat(2), at: fc.integer({ min: 1, max: 14 }), what: fc.constantFrom<Fault | 'refuse' | 'cut'>('kill', 'garbage', 'evict', 'engine', 'forget', 'leave', 'refuse', 'cut') })
const operation = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('step' as const), length: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 30 })), back: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('step' as const), length: fc.integer({ min: 1, max: 9 }), back: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('truncate' as const), length: fc.nat(20), back: fc.nat(20) }) }
)

describe('peer/client: routes under random failures', function () {
  this.timeout(120_000)

  it('give what an undisturbed session gives, whatever fails, and leave nothing behind', async () => {
    await fc.assert(fc.asyncProperty(cuts, fc.array(fault, { maxLength: 6 }), fc.array(operation, { minLength: 3, maxLength: 14 }), fc.integer({ min: 1, max: 16 }), fc.boolean(), async (bounds, faults, operations, chunkRows, ownHead) => {
      const stages = createStubStages()
      for (const [part, from] of bounds.slice(0, -1).entries()) {
        for (const copy of [0, 1, 2]) stages.add(`${part}${copy}`, { from, to: bounds[part + 1] })
      }
      stages.add('safe', { from: 0, to: 6 })
      for (const { part, copy, at, what } of faults) {
        const peer = stages.peers.get(`${part % (bounds.length - 1)}${copy}`)!
        if (what === 'refuse') {
          peer.refusals = 1
          continue
        }
        const before = peer.onStep
        peer.onStep = (self, count) => {
          if (count !== at) return before?.(self, count)
          if (what !== 'cut') return what
          for (const { record } of self.sessions.values()) if (stages.peers.has(record.downstream)) stages.cut(self.peerId, record.downstream)
          return undefined
        }
      }
      const session = await stubRoute(stages, { chunkRows, local: ownHead ? [{ from: 5, to: 6 }] : [] })
      const reference = referenceSession()
      for (const [index, { kind, length, back }] of operations.entries()) {
        if (kind === 'truncate') {
          const to = Math.max(0, reference.length - back)
          for (const one of [session, reference]) await one.truncate(to)
        } else {
          const position = Math.max(0, reference.length - back)
          const request = { tokens: ids(length, 7 * index), position, outputs: length > 3 && index % 2 === 0 ? [{ row: 1, output: { kind: 'score' as const, ids: [3, 9] } }, { row: length - 1, output: { kind: 'top' as const, count: 2 } }] : [{ row: length - 1, output: { kind: 'top' as const, count: 4 } }] }
          expect(await session.step(request)).to.deep.equal(await reference.step(request))
        }
        expect([...session.heldIds]).to.deep.equal([...reference.heldIds])
      }
      if (!ownHead) expect(stages.clientHiddenBytes).to.equal(0)
      await session.close()
      for (const peer of stages.peers.values()) if (peer.alive) expect(peer.sessions.size, peer.peerId).to.equal(0)
    }), { seed: 66, numRuns: Number(process.env.FAILURE_SCHEDULES ?? 400) })
  })
})
