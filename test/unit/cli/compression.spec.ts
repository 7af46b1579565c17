import { expect } from 'chai'
import { compressionLines } from '../../../src/cli/compression-lines.ts'
import { byteSize } from '../../../src/cli/byte-size.ts'
import { compressionPlan } from '../../../src/cli/compression-plan.ts'
import { UsageError } from '../../../src/cli/errors.ts'
import type { CompressJson } from '../../../src/cli/json.ts'
import type { Model } from '../../../src/model/index.ts'
import { smallArchitecture } from '../../support/random-weights.ts'

const tensor = (...shape: number[]) => ({ shape }) as never

/** 1,000 parameters, of which the tied projection counts once. */
const model: Pick<Model, 'architecture' | 'unit'> = {
  architecture: smallArchitecture({ layerCount: 1, tiedEmbedding: true }),
  unit: index => ({ unit: 'embed', tensors: [{ embedding: tensor(40, 20) }, { query: tensor(10, 19) }, { finalNorm: tensor(10), projection: tensor(40, 20) }][index] })
}

describe('cli/compression', () => {
  it('reads sizes', () => {
    const sizes: Array<[string, number | undefined]> = [
      ['60MB', 60e6], ['1.5 GB', 1.5e9], ['2MiB', 2 ** 21], ['900000', 900_000], ['12B', 12], ['1kB', 1000],
      ['', undefined], ['-1MB', undefined], ['MB', undefined], ['1mb', undefined], ['1e6', undefined], ['0x10', undefined]
    ]
    for (const [text, bytes] of sizes) expect(byteSize(text), text).to.equal(bytes)
  })

  it('understands what is wanted', () => {
    expect(compressionPlan({ targetBits: 4 }, model)).to.deep.equal({ kind: 'budget', bytes: 500 })
    expect(compressionPlan({}, model)).to.have.property('kind', 'budget')
    expect(compressionPlan({ budget: ['2kB'] }, model)).to.deep.equal({ kind: 'budget', bytes: 2000 })
    expect(compressionPlan({ budget: ['0:2=1kB', '2:3=5kB'] }, model)).to.deep.equal({
      kind: 'range-budgets', ranges: [{ from: 0, to: 2, bytes: 1000 }, { from: 2, to: 3, bytes: 5000 }]
    })
    expect(compressionPlan({ mode: 'q3+svd', rank: 24 }, model)).to.deep.include({ kind: 'fixed', mode: 'q3+svd', rank: 24 })
    expect(compressionPlan({ mode: 'svd', share: 0.8, plain: true }, model)).to.deep.include({ mode: 'svd', parameterShare: 0.8, whitened: false })
  })

  it('refuses what cannot be meant', () => {
    for (const flags of [
      { targetBits: 4, budget: ['1MB'] }, { mode: 'q4', targetBits: 4 }, { mode: 'q4+SVD' }, { mode: 'svd+q4' }, { budget: ['0MB'] },
      { budget: ['1MB', '2MB'] }, { budget: ['0:2=x'] }, { share: 0.5 }, { plain: true }, { embedding: 'q4' as const }
    ]) expect(() => compressionPlan(flags, model), JSON.stringify(flags)).to.throw(UsageError)
  })

  it('shows a line for each matrix, and the totals', () => {
    const report: CompressJson = {
      source: { name: 'x', modelId: 'a'.repeat(64), bytes: 8_000_000 },
      package: { directory: 'p', modelId: 'b'.repeat(64), bytes: 2_400_000 },
      parameters: 4_000_000,
      bitsPerWeight: 4.8,
      expectedDivergence: 0.0131,
      calibration: { sha256: 'c'.repeat(64), tokens: 16_384, heldOutTokens: 4096, window: 512 },
      matrices: [
        { unit: 1, role: 'query', rows: 192, columns: 192, mode: 'q4+svd', base: 'Q4_0', rank: 8, order: 'residual', bytes: 24_096, errors: { weighted: 0.0251, frobenius: 0.08 }, shrinkage: 0.01 },
        { unit: 0, role: 'embedding', rows: 4096, columns: 192, mode: 'q8', base: 'Q8_0', rank: 0, order: null, bytes: 835_584, errors: { weighted: null, frobenius: 0.004 }, shrinkage: 0 }
      ],
      milliseconds: 1000,
      plot: 'p/report.svg',
      peakBytes: 1
    }
    const text = compressionLines(report, 8).join('\n')
    expect(text).to.match(/layer 0 +query +192 × 192 +q4\+svd +Q4_0 +8 +residual +24 kB +2\.51 % +8\.00 %/)
    expect(text).to.match(/embed +embedding +4096 × 192 +q8 +Q8_0 +836 kB +0\.400 %/)
    expect(text).to.match(/modes +1 q4\+svd 8, 1 q8/)
    expect(text).to.match(/2\.4 MB of 8\.0 MB, 4\.800 bits per weight/)
  })
})
