import { expect } from 'chai'
import * as library from '../../src/index.ts'
import type { CompressInit, CompressionPlan, CompressReport } from '../../src/index.ts'
import { randomModel } from '../support/random-model.ts'
import { randomIntegers, smallArchitecture } from '../support/random-weights.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

/** What users of the library find behind its door; the example of docs/compression.md. */
describe('the library', function () {
  this.timeout(60_000)
  const folder = temporaryFolder()

  it('compresses a model into a package', async () => {
    const next = randomIntegers(11)
    const text = library.calibrationText(Array.from({ length: 1200 }, () => String.fromCharCode(33 + next() % 90)).join(''))
    const plan: CompressionPlan = { kind: 'fixed', mode: 'q4+svd', rank: 8 }
    const init: CompressInit = { source: randomModel(folder.path(), 'source', smallArchitecture(), 3), directory: folder.path('made.package'), plan, text, calibration: { tokens: 512, heldOutTokens: 128, window: 64 }, threads: 1 }
    let units = 0
    const report: CompressReport = await library.compressModel(init, { onProgress: event => { if (event.type === 'compress:units') units = event.total } })
    expect(units).to.equal(4)
    expect(library.readPackage(report.package.directory).modelId).to.equal(report.package.modelId)
    expect(library.plotReport('a title', report.matrices)).to.match(/^<svg/)
    // the model has no tokenizer to speak of
    const { files } = await library.verifyPackage(report.package.directory)
    for (const { holds, problem } of files) if (!holds.includes('tokenizer')) expect(problem).to.equal(null)
    // a short text would not do
    const error = await library.compressModel({ ...init, directory: folder.path('other.package'), text: library.calibrationText('short') }).then(() => undefined, error => error)
    expect(error).to.be.instanceOf(library.CalibrationTextTooShortError).and.have.property('code', 'ERR_CALIBRATION_TEXT_TOO_SHORT')
  })

  it('has a text to calibrate on', async () => {
    expect((await library.defaultCalibrationText()).sha256).to.match(/^[0-9a-f]{64}$/)
  })
})
