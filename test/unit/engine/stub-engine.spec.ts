import { expect } from 'chai'
import { allLogits, logitsOf } from '../../support/engines.ts'
import { closeChain, runChain } from '../../support/chain.ts'
import { createStubEngine } from '../../support/stub-engine.ts'

const ids = Uint32Array.from({ length: 20 }, (_, i) => (i * 7) % 64)

describe('test support: stub engine', () => {
  it('gives the same results in sessions that run parts of its range', async () => {
    const engine = createStubEngine({ from: 0, to: 6 })
    const whole = await logitsOf(engine, engine.openSession(), ids)
    for (const cuts of [[0, 1, 5, 6], [0, 3, 6], [0, 1, 2, 3, 4, 5, 6]]) {
      const sessions = cuts.slice(1).map((to, index) => engine.openSession({ range: { from: cuts[index], to } }))
      const engines = sessions.map(() => engine)
      for (const [position, end] of [[0, 13], [13, 20]]) {
        const [{ rows }] = await runChain(engines, [{ session: sessions, position, tokens: ids.subarray(position, end), outputs: allLogits(end - position) }])
        expect(rows!.flatMap(({ logits }) => [...logits!])).to.deep.equal([...whole.slice(position * 64, end * 64)])
      }
      closeChain(engines, sessions)
    }
  })

  it('goes on with the KV cache of another, and otherwise with other results', async () => {
    const [one, two] = [createStubEngine({ from: 0, to: 6 }), createStubEngine({ from: 0, to: 6 })]
    const [here, there] = [one.openSession(), two.openSession()]
    await logitsOf(one, here, ids.subarray(0, 15))
    const bytes = one.readKeyValues(here, 0, 15)
    two.writeKeyValues(there, 0, bytes)
    const expected = await logitsOf(one, here, ids, 5, 15)
    expect(await logitsOf(two, there, ids, 5, 15)).to.deep.equal(expected)
    bytes[bytes.length / 15 * 14] ^= 1
    two.writeKeyValues(there, 0, bytes)
    expect(await logitsOf(two, there, ids, 5, 15)).to.not.deep.equal(expected)
  })
})
