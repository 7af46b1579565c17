import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { createEngine, createOracleEngine, UnsupportedModelError } from '../../../src/engine/index.ts'
import { applyMap, loadMap } from '../../../src/engine/oracle/oracle-low-rank.ts'
import { quantiseRows } from '../../../src/engine/oracle/oracle-matrix.ts'
import { createReferenceEngine } from '../../../src/engine/reference/reference-engine.ts'
import { memoryNeeds } from '../../../src/engine/wasm/memory-needs.ts'
import type { TensorRole, TensorSource, UnitSource } from '../../../src/model/index.ts'
import { compressWeights } from '../../support/compressed-weights.ts'
import type { MatrixChoice } from '../../support/compressed-weights.ts'
import { logitsOf, relativeDistance, withEngine } from '../../support/engines.ts'
import { wholeModel } from '../../support/open-weights.ts'
import type { Weights } from '../../support/open-weights.ts'
import { randomIds, smallArchitecture, writeRandomWeights } from '../../support/random-weights.ts'
import { rejection } from '../../support/rejection.ts'

const f = Math.fround

describe('low-rank corrections', () => {
  let directory: string
  let plain: Weights
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'efedllm-low-rank-'))
    plain = writeRandomWeights(directory, 'plain', smallArchitecture(), 'Q8_0', 1)
  })

  after(() => rmSync(directory, { recursive: true, force: true }))

  const compressed = (name: string, choose: (role: TensorRole, unit: number) => MatrixChoice | undefined, seed = 2) =>
    compressWeights(directory, name, plain, choose, seed)

  /** The same weights with one tensor replaced. */
  const replaced = (weights: Weights, unit: number, role: TensorRole, change: (source: TensorSource) => TensorSource): Weights => ({
    ...weights,
    unit: (index): UnitSource => {
      const source = weights.unit(index)
      return index === unit ? { ...source, tensors: { ...source.tensors, [role]: change(source.tensors[role]!) } } : source
    }
  })

  const logits = async (create: Parameters<typeof withEngine>[0], weights: Weights) =>
    await withEngine(create, weights, async engine => await logitsOf(engine, engine.openSession(), randomIds(9, 320, 5)))

  it('are refused where the profile does not define them', async () => {
    const weights = compressed('refused', role => role === 'up' ? { type: 'Q8_0', rank: 16 } : undefined)
    const up = (change: (source: Required<TensorSource>) => Partial<TensorSource>) => replaced(weights, 1, 'up', source => ({ ...source, ...change(source as Required<TensorSource>) }))
    const { lowRank } = weights.unit(1).tensors.up!
    const cases: Array<[string, Weights, RegExp]> = [
      ['an embedding with a correction', replaced(weights, 0, 'embedding', source => ({ ...source, lowRank })), /embedding/],
      ['an embedding of zeros', replaced(weights, 0, 'embedding', source => ({ ...source, type: 'ZERO' })), /embedding/],
      ['a left factor as a base', up(() => ({ type: 'Q8_8' })), /Q8_8/],
      ['a rank that is no multiple of 8', up(({ lowRank }) => ({ lowRank: { ...lowRank, rank: 12 } })), /rank 12/],
      ['a rank of 0', up(({ lowRank }) => ({ lowRank: { ...lowRank, rank: 0 } })), /rank 0/],
      ['another rank than the factors have', up(({ lowRank }) => ({ lowRank: { ...lowRank, rank: 8 } })), /of rank 8/],
      ['a left factor of another type', up(({ lowRank }) => ({ lowRank: { ...lowRank, left: { ...lowRank.left, type: 'Q8_0' } } })), /types Q8_0 and Q8_0/],
      ['a right factor of another type', up(({ lowRank }) => ({ lowRank: { ...lowRank, right: { ...lowRank.right, type: 'F16' } } })), /types Q8_8 and F16/],
      ['factors of another matrix', up(({ lowRank }) => ({ lowRank: { ...lowRank, right: { ...lowRank.right, shape: [16, 96] } } })), /factors/]
    ]
    for (const [what, broken, message] of cases) {
      for (const create of [createEngine, createOracleEngine, createReferenceEngine]) {
        const error = await rejection(create(wholeModel(broken)))
        expect(error, what).to.be.instanceOf(UnsupportedModelError)
        expect((error as Error).message, what).to.match(message)
      }
    }
  })

  it('round every operation by itself: one output worked out by hand', () => {
    const weights = compressed('by-hand', role => role === 'gate' ? { type: 'Q4_0', rank: 16 } : undefined)
    const map = loadMap(weights.unit(1).tensors.gate!)
    const { right, codes, scales } = map.lowRank!
    const x = quantiseRows(Float32Array.from({ length: 64 }, (_, i) => f(Math.sin(i + 1))), 1)
    const withoutLow = applyMap({ ...map, lowRank: null }, x)
    const z = applyMap({ rows: 16, weights: right, lowRank: null }, x)
    const out = applyMap(map, x)
    for (const n of [0, 1, 50, 95]) {
      let acc = withoutLow[n]
      for (const b of [0, 1]) {
        const block = z.subarray(8 * b, 8 * b + 8)
        const largest = Math.max(...block.map(Math.abs))
        const inverse = f(16383 / largest)
        let sum = 0
        // no product here lies half-way between integers
        block.forEach((value, i) => { sum += codes[n * 16 + 8 * b + i] * Math.round(f(value * inverse)) })
        acc = f(acc + f(f(sum) * f(scales[2 * n + b] * f(largest / 16383))))
      }
      expect(out[n]).to.equal(acc)
      expect(out[n]).to.not.equal(withoutLow[n])
    }
  })

  it('come close to what the factors mean', async () => {
    const weights = compressed('meaning', role => role === 'embedding' ? undefined : { type: 'Q8_0', rank: 24 })
    const [exact, meant, without] = [await logits(createOracleEngine, weights), await logits(createReferenceEngine, weights), await logits(createOracleEngine, plain)]
    expect(relativeDistance(exact, meant)).to.be.below(0.03)
    expect(relativeDistance(without, meant)).to.be.above(0.2)
  })

  it('of a smaller rank are those of the first ranks alone', async () => {
    const whole = compressed('whole', role => role === 'embedding' ? undefined : { type: 'Q4_1', rank: 8, stored: 24 })
    // the same bytes with factors that end after 8 ranks: what lies behind is never read
    const cut = compressed('cut', role => role === 'embedding' ? undefined : { type: 'Q4_1', rank: 24 })
    const zeroed: Weights = {
      ...cut,
      unit: index => {
        const source = cut.unit(index)
        return {
          ...source,
          tensors: Object.fromEntries(Object.entries(source.tensors).map(([role, tensor]) => {
            const { lowRank } = tensor
            if (lowRank === undefined) return [role, tensor]
            const [rows, columns] = tensor.shape
            return [role, {
              ...tensor,
              lowRank: {
                rank: 8,
                left: { ...lowRank.left, shape: [rows, 8], byteLength: rows * 9, rowBytes: 27 },
                right: { ...lowRank.right, shape: [8, columns], byteLength: lowRank.right.byteLength / 3 }
              }
            }]
          }))
        }
      }
    }
    const small = await logits(createEngine, whole)
    expect(small).to.deep.equal(await logits(createOracleEngine, whole))
    expect(small).to.deep.equal(await logits(createEngine, zeroed))
    expect(small).to.not.deep.equal(await logits(createEngine, cut))
  })

  it('of one row are the same however many threads share them', async () => {
    const wide = writeRandomWeights(directory, 'wide', smallArchitecture({ layerCount: 1, hiddenSize: 512, headCount: 8, headSize: 64, keyValueHeadCount: 4 }), 'Q4_0', 3)
    // right factors of 3 × 144 rows have parts for all threads; those of 8 rows are one thread's, for which the others wait
    const weights = compressWeights(directory, 'wide-factors', wide, role => role === 'embedding' ? undefined : { type: 'Q4_0', rank: ['query', 'key', 'value'].includes(role) ? 144 : 8 }, 4)
    const oneByOne = async (create: Parameters<typeof withEngine>[0], threads?: number) =>
      await withEngine(create, weights, async engine => await logitsOf(engine, engine.openSession(), randomIds(6, 320, 5), 1), { threads })
    const expected = await oneByOne(createOracleEngine)
    for (const threads of [1, 2, 3]) expect(await oneByOne(createEngine, threads), `${threads} threads`).to.deep.equal(expected)
  })

  it('of rank 0 over zeros leave zeros', async () => {
    const weights = compressed('zeros', role => role === 'gate' || role === 'key' ? { type: 'ZERO' } : undefined)
    expect(await logits(createEngine, weights)).to.deep.equal(await logits(createOracleEngine, weights))
  })

  it('may be those of a head that shares the weights of the embedding', async () => {
    const own = compressed('own', role => role === 'projection' ? { type: 'Q8_0', rank: 16 } : undefined)
    const tied = replaced(own, 3, 'projection', source => ({ ...own.unit(0).tensors.embedding!, lowRank: source.lowRank }))
    const without = replaced(own, 3, 'projection', () => own.unit(0).tensors.embedding!)
    const corrected = await logits(createEngine, tied)
    expect(corrected).to.deep.equal(await logits(createOracleEngine, tied))
    expect(corrected).to.not.deep.equal(await logits(createEngine, without))
    // the embedding's weights are there once
    expect(memoryNeeds(tied).shared).to.equal(memoryNeeds(without).shared)
    expect(memoryNeeds(tied).shared).to.be.above(0)
  })

  it('take memory only where they are', () => {
    const layer = (choose: Parameters<typeof compressed>[1]) => memoryNeeds(compressed('memory', choose)).units[1]
    const dense = layer(() => undefined)
    expect(layer(role => role === 'down' ? { type: 'Q8_0', rank: 16 } : undefined) - dense)
      // 16 rows of 96 columns with 36 bytes a block; 64 rows of 2 blocks with 10 bytes
      .to.be.within(16 * 3 * 36 + 64 * 2 * 10, 16 * 3 * 36 + 64 * 2 * 10 + 128)
    expect(dense - layer(role => role === 'down' ? { type: 'ZERO' } : undefined)).to.be.within(64 * 3 * 36, 64 * 3 * 36 + 64)
  })
})
