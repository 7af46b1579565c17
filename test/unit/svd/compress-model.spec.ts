import { expect } from 'chai'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { verifyPackage } from '../../../src/model/index.ts'
import type { Model } from '../../../src/model/index.ts'
import { BudgetTooSmallError, calibrationText, CalibrationTextTooShortError, CompressionOptionError, compressModel, InvalidProblemError, measureModel, OtherSourceError } from '../../../src/svd/index.ts'
import type { CompressInit, CompressionPlan, CompressProgress, CompressReport, MatrixMode } from '../../../src/svd/index.ts'
import { openRandomPackage, randomModel } from '../../support/random-model.ts'
import { randomIntegers, smallArchitecture } from '../../support/random-weights.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

/** Text of which every character is a token. */
function randomText (length: number): string {
  const next = randomIntegers(11)
  return Array.from({ length }, () => String.fromCharCode(33 + next() % 90)).join('')
}

describe('svd/compress, a model', function () {
  this.timeout(60_000)
  const folder = temporaryFolder()
  const text = calibrationText(randomText(1200))
  const calibration = { tokens: 512, heldOutTokens: 128, window: 64 }
  let source: Model
  before(() => { source = randomModel(folder.path(), 'source', smallArchitecture({ tiedEmbedding: false }), 3) })

  const init = (name: string, plan: CompressionPlan, more: Partial<CompressInit> = {}): CompressInit =>
    ({ source, directory: folder.path(name), plan, text, calibration, threads: 2, ...more })

  /** Files that a run has left beside those that were there. */
  const left = (): string[] => readdirSync(folder.path()).filter(name => !name.endsWith('.bin') && !name.endsWith('.package'))

  async function rejection (promise: Promise<unknown>): Promise<Error> {
    return await promise.then(() => { throw new Error('was not rejected') }, error => error)
  }

  describe('refuses', () => {
    const cases: Array<[string, CompressionPlan, Partial<CompressInit>, new (...parameters: never[]) => Error]> = [
      ['a plan that makes no sense', { kind: 'fixed', mode: 'svd' }, {}, CompressionOptionError],
      ['ranges that are not the model', { kind: 'range-budgets', ranges: [{ from: 0, to: 2, bytes: 1e6 }] }, {}, CompressionOptionError],
      ['a budget in which nothing fits', { kind: 'budget', bytes: 10_000 }, {}, BudgetTooSmallError],
      ['a text that is too short', { kind: 'fixed', mode: 'q8' }, { text: calibrationText('short') }, CalibrationTextTooShortError]
    ]
    for (const [name, plan, more, type] of cases) {
      it(name, async () => {
        expect(await rejection(compressModel(init('refused', plan, more)))).to.be.instanceOf(type)
        expect(left()).to.deep.equal([])
      })
    }

    it('a folder that is not empty, and leaves it alone', async () => {
      mkdirSync(folder.path('taken.package'))
      writeFileSync(folder.path('taken.package/mine'), 'mine')
      expect(await rejection(compressModel(init('taken.package', { kind: 'fixed', mode: 'q8' })))).to.have.property('code')
      expect(readFileSync(folder.path('taken.package/mine'), 'utf8')).to.equal('mine')
      expect(left()).to.deep.equal([])
    })
  })

  it('leaves nothing where it is cancelled, whenever that is', async () => {
    for (const at of ['compress:survey', 'compress:units', 'compress:matrix']) {
      const controller = new AbortController()
      const reason = new Error('enough')
      const run = compressModel(init('cancelled', { kind: 'budget', bytes: 70_000 }), {
        signal: controller.signal,
        onProgress: event => { if (event.type === at) controller.abort(reason) }
      })
      expect(await rejection(run), at).to.equal(reason)
      expect(left()).to.deep.equal([])
    }
  })

  describe('by a fixed plan', () => {
    const events: CompressProgress[] = []
    let report: CompressReport
    before(async () => {
      report = await compressModel(init('fixed.package', { kind: 'fixed', mode: 'q4+svd', rank: 16, embedding: 'q5' }), { onProgress: event => events.push(event) })
    })

    it('gives every matrix the mode, and reports it', () => {
      const { layerCount } = source.architecture
      expect(report.matrices).to.have.length(layerCount * 7 + 2)
      for (const { role, mode, rank, errors } of report.matrices) {
        const table = role === 'embedding' || role === 'projection'
        expect([mode, rank]).to.deep.equal(table ? ['q5', 0] : ['q4+svd', 16])
        expect(errors.frobenius).to.be.within(0.001, 0.2)
        if (role === 'embedding') expect(errors.weighted).to.equal(null)
        else expect(errors.weighted).to.be.within(0.0001, 0.2)
      }
      expect(report.calibration).to.deep.equal({ sha256: text.sha256, tokens: 512, heldOutTokens: 128, window: 64 })
      expect(report.bitsPerWeight).to.be.closeTo(report.package.bytes * 8 / report.parameters, 1e-9)
    })

    it('writes a sound package that names source and text', async () => {
      const verified = await verifyPackage(folder.path('fixed.package'))
      expect(verified.files.filter(({ holds, problem }) => problem !== null && !holds.includes('tokenizer'))).to.deep.equal([])
      expect(verified.modelId).to.equal(report.package.modelId)
      const { compression } = openRandomPackage(folder.path('fixed.package')).manifest
      expect(compression).to.include({ source: source.modelId, calibration: text.sha256 })
      expect(compression!.units[1].query).to.include({ mode: 'q4+svd', rank: 16 })
    })

    it('tells how far it is, and every matrix once', () => {
      const done = events.flatMap(event => event.type === 'compress:units' ? [event.done] : [])
      for (let i = 1; i < done.length; i++) expect(done[i]).to.be.at.least(done[i - 1])
      expect(done.at(-1)).to.equal(source.architecture.layerCount + 2)
      expect(events.filter(({ type }) => type === 'compress:matrix')).to.have.length(report.matrices.length)
    })

    it('makes the same package again, with any number of threads', async () => {
      const again = await compressModel(init('again.package', { kind: 'fixed', mode: 'q4+svd', rank: 16, embedding: 'q5' }, { threads: 1 }))
      expect(again.package.modelId).to.equal(report.package.modelId)
    })

    it('has the errors that its manifest states, measured anew', async () => {
      const stored = openRandomPackage(folder.path('fixed.package'))
      const measured = await measureModel({ stored, source, text, calibration, threads: 1 })
      expect(measured).to.have.length(report.matrices.length)
      for (const { unit, role, recorded, measured: found } of measured) {
        expect(found.frobenius, `${unit} ${role}`).to.be.closeTo(recorded!.frobenius!, 1e-6 * found.frobenius)
        if (found.weighted === null) expect(recorded!.weighted).to.equal(null)
        else expect(found.weighted, `${unit} ${role}`).to.be.closeTo(recorded!.weighted!, 1e-6 * found.weighted)
      }
      // without the text only what needs none
      expect((await measureModel({ stored, source, threads: 1 })).every(({ measured }) => measured.weighted === null)).to.equal(true)
    })

    it('is not taken for a package of another model', async () => {
      const other = randomModel(folder.path(), 'other', smallArchitecture({ layerCount: 3 }), 4)
      expect(await rejection(measureModel({ stored: openRandomPackage(folder.path('fixed.package')), source: other, threads: 1 }))).to.be.instanceOf(OtherSourceError)
    })
  })

  it('keeps to a budget, and uses it', async () => {
    const modes = new Set<MatrixMode>()
    for (const bytes of [58_000, 76_000]) {
      const report = await compressModel(init(`budget-${bytes}.package`, { kind: 'budget', bytes }))
      expect(report.package.bytes).to.be.within(bytes * 0.97, bytes)
      for (const { mode } of report.matrices) modes.add(mode)
    }
    expect(modes.size).to.be.above(1)
  })

  it('keeps to the modes of a budget, where it is given some', async () => {
    const { matrices } = await compressModel(init('modes.package', { kind: 'budget', bytes: 70_000, modes: ['q8', 'q3+svd', 'q3'] }))
    expect([...new Set(matrices.map(({ mode }) => mode))]).to.be.an('array').with.length.above(1)
    expect(matrices.filter(({ mode }) => !['q8', 'q3+svd', 'q3'].includes(mode))).to.deep.equal([])
    // tables have no factors
    expect(await rejection(compressModel(init('modes', { kind: 'budget', bytes: 70_000, modes: ['q3+svd'] })))).to.be.instanceOf(InvalidProblemError)
  })

  it('keeps to the budget of each range', async () => {
    const ranges = [{ from: 0, to: 2, bytes: 38_000 }, { from: 2, to: 4, bytes: 30_000 }]
    const { matrices } = await compressModel(init('ranges.package', { kind: 'range-budgets', ranges }))
    for (const { from, to, bytes } of ranges) {
      const used = matrices.filter(({ unit }) => unit >= from && unit < to).reduce((sum, matrix) => sum + matrix.bytes, 0)
      expect(used).to.be.within(bytes * 0.95, bytes)
    }
  })

  it('calibrates each layer on the compressed layers before it', async () => {
    // nothing of the prefix is left at 3 bits as it was: errors of the last layer are those of other inputs
    const plans = [{ kind: 'fixed', mode: 'q3' }, { kind: 'fixed', mode: 'q8' }] as const
    const [rough, fine] = await Promise.all(plans.map(async plan => await compressModel(init(`${plan.mode}.package`, plan))))
    expect(existsSync(folder.path('q3.package'))).to.equal(true)
    const stored = openRandomPackage(folder.path('q3.package'))
    const onOwnPrefix = await measureModel({ stored, source, text, calibration, threads: 1 })
    const last = (report: CompressReport) => report.matrices.find(({ unit, role }) => unit === 2 && role === 'down')!.errors.weighted!
    expect(onOwnPrefix.find(({ unit, role }) => unit === 'layer 1' && role === 'down')!.measured.weighted).to.be.closeTo(last(rough), 1e-6)
    expect(last(fine)).to.be.below(last(rough) / 4)
  })
})
