import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { startEngine } from '../../../src/cli/engines.ts'
import { openHostedModel } from '../../../src/cli/host-model.ts'
import { createProgress } from '../../../src/cli/progress.ts'
import type { Context } from '../../../src/cli/context.ts'
import { ManifestError, ModelFileError, NonFiniteWeightError, readPackage, UnitMissingError, UnsupportedModelError } from '../../../src/model/index.ts'
import { UnsupportedModelError as UnsupportedByEngineError } from '../../../src/engine/index.ts'
import { createMutator } from '../../support/mutations.ts'
import { soundUnit, writeRandomPackage } from '../../support/packages.ts'
import { smallArchitecture } from '../../support/random-weights.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { createTerminal } from './fake-terminal.ts'

const TYPED = [ManifestError, ModelFileError, NonFiniteWeightError, UnitMissingError, UnsupportedByEngineError, UnsupportedModelError]
const ARCHITECTURE = smallArchitecture()

/** Of manifests, and of files of units and tokenizer together. */
const MANIFESTS = 400
const FILES = 600

/** All that `efedllm peer` does before it has a node: nothing is hosted, and nobody told, where this fails. */
describe('mutated packages, as efedllm peer loads them', function () {
  this.timeout(180_000)
  const folder = temporaryFolder()
  let directory: string
  let modelId: string

  before(async () => {
    directory = folder.path('package')
    modelId = await writeRandomPackage(folder, directory, ARCHITECTURE, { unit: unit => soundUnit(ARCHITECTURE, unit) })
  })

  /** The id of what would be hosted; throws what the program would say. */
  async function load (): Promise<string> {
    const terminal = createTerminal({ env: { XDG_CACHE_HOME: folder.path('cache') } })
    const { signal } = new AbortController()
    const context: Context = { terminal, signal, onExit: () => () => {}, exitCode: 0 }
    const progress = createProgress(terminal, {})
    const { model, range } = await openHostedModel({ context, request: { model: directory }, progress, signal, chooseRange: async ({ manifest }) => ({ from: 0, to: manifest.architecture.layerCount + 2 }) })
    const engine = await startEngine({ model, range, threads: 1, positions: 256, env: terminal.env, progress, signal })
    await engine.stop()
    return model.modelId
  }

  /** Loads the package with a file changed in so many ways; what was hosted all the same, and what was thrown. */
  async function mutate (file: string, count: number, seed: number): Promise<{ hosted: string[], refused: number }> {
    const original = readFileSync(file)
    const next = createMutator(original, Math.min(original.length, 4000), seed)
    const hosted: string[] = []
    let refused = 0
    for (let input = 0; input < count; input++) {
      const bytes = next()
      if (Buffer.compare(bytes, original) === 0) {
        input--
        continue
      }
      writeFileSync(file, bytes)
      try {
        hosted.push(await load())
      } catch (error) {
        if (!TYPED.some(type => error instanceof type) || (error as Error).message.length < 10) throw new Error(`input ${input} of ${file}`, { cause: error })
        refused++
      }
    }
    writeFileSync(file, original)
    expect(await load()).to.equal(modelId)
    return { hosted, refused }
  }

  it(`${MANIFESTS} manifests: a typed error, or another model by its id`, async () => {
    const { hosted, refused } = await mutate(join(directory, 'manifest.json'), MANIFESTS, 31)
    // a manifest that is sound names another model: it is taken for this one by nobody
    expect(hosted).to.not.include(modelId)
    expect(refused).to.be.above(MANIFESTS * 0.9)
  })

  it(`${FILES} files of units and tokenizer: a typed error each, nothing hosted`, async () => {
    const { manifest, paths } = readPackage(directory)
    const ids = [...new Set([...manifest.units, manifest.tokenizer])]
    const share = FILES / ids.length
    let done = 0
    for (const [index, id] of ids.entries()) {
      const file = paths.blob(id)
      expect(existsSync(file)).to.equal(true)
      const count = Math.ceil(share * (index + 1)) - done
      const { hosted, refused } = await mutate(file, count, 100 + index)
      expect(hosted).to.deep.equal([])
      expect(refused).to.equal(count)
      done += count
    }
    expect(done).to.equal(FILES)
  })
})
