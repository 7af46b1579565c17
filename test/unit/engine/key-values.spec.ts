import { expect } from 'chai'
import { keyValueBytesPerPosition } from '../../../src/engine/index.ts'
import { OracleCache } from '../../../src/engine/oracle/oracle-attention.ts'
import { smallArchitecture } from '../../support/random-weights.ts'

describe('engine: bytes of a KV cache', () => {
  it('are so many for the layers of a range, and none for embed and head', () => {
    // 2 heads × (key and value) × (16 codes and a scale)
    const small = smallArchitecture({ layerCount: 3 })
    const layer = 2 * 2 * (16 + 4)
    const sizes = [[0, 5], [1, 4], [0, 1], [4, 5], [0, 2], [2, 4], [3, 5]].map(([from, to]) => keyValueBytesPerPosition(small, { from, to }))
    expect(sizes).to.deep.equal([3, 3, 0, 0, 1, 2, 1].map(layers => layers * layer))
    // 96 elements have three scales
    expect(keyValueBytesPerPosition(smallArchitecture({ headSize: 96, keyValueHeadCount: 1 }), { from: 1, to: 2 })).to.equal(2 * (96 + 3 * 4))
  })

  it('are codes and scales of each head\'s key and value, as docs/numerics.md says', () => {
    const cache = new OracleCache()
    // largest elements of 127 and 63.5: scales of 1 and 0.5, codes as written
    const keys = Float32Array.from({ length: 32 }, (_, i) => i < 16 ? (i === 0 ? 127 : -i) : (i === 16 ? -63.5 : i / 2))
    const values = keys.map(value => 2 * value)
    cache.store(new Float32Array(32), new Float32Array(32), 0, 1, 16)
    cache.store(keys, values, 1, 1, 16)
    const bytes = new Uint8Array(80)
    cache.read({ keyValueHeadCount: 2, headSize: 16 }, 1, bytes)
    const codes = [[127, ...Array.from({ length: 15 }, (_, i) => 255 - i)], [129, ...Array.from({ length: 15 }, (_, i) => 17 + i)]]
    const [half, one, two] = [[0, 0, 0, 0x3f], [0, 0, 0x80, 0x3f], [0, 0, 0, 0x40]]
    expect([...bytes]).to.deep.equal([...codes[0], ...one, ...codes[0], ...two, ...codes[1], ...half, ...codes[1], ...one])
    const copy = new OracleCache()
    copy.write({ keyValueHeadCount: 2, headSize: 16 }, 5, bytes)
    const again = new Uint8Array(80)
    copy.read({ keyValueHeadCount: 2, headSize: 16 }, 5, again)
    expect(again).to.deep.equal(bytes)
  })
})
