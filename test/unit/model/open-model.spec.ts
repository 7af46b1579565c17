import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { decodeManifest, describeFile, encodeManifest, manifestId, ModelFileError, NoChatTemplateError, openModel, UnsupportedModelError } from '../../../src/model/index.ts'
import type { OpenProgress } from '../../../src/model/index.ts'
import { text } from '../../support/gguf-writer.ts'
import { writeSafetensors } from '../../support/safetensors-writer.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { tinyConfig, tinyGgufBytes, tinySafetensors } from '../../support/tiny-models.ts'

const shipped = fileURLToPath(new URL('../../../models/sotu-4m', import.meta.url))

async function failure (promise: Promise<unknown>): Promise<Error> {
  return await promise.then(() => { throw new Error('did not fail') }, error => error)
}

describe('openModel', function () {
  const folder = temporaryFolder()

  it('refuses a directory without a tokenizer, naming file and field', async function () {
    const path = folder.path('bare')
    mkdirSync(path)
    writeFileSync(join(path, 'config.json'), JSON.stringify(tinyConfig()))
    writeFileSync(join(path, 'model.safetensors'), writeSafetensors(tinySafetensors()))
    expect(await failure(openModel(path))).to.be.instanceOf(ModelFileError).with.property('field', 'tokenizer.json')
    writeFileSync(join(path, 'tokenizer.json'), '{}')
    expect(await failure(openModel(path))).to.be.instanceOf(ModelFileError).with.property('file', join(path, 'tokenizer.json'))
    const description = describeFile(path)
    expect(description.problem).to.equal(null)
    expect(description.tokenizer).to.equal(null)
    expect(description.tokenizerProblem).to.include('tokenizer.json')
  })

  it('refuses an unknown tokenizer of a GGUF file', async function () {
    const path = folder.write('odd.gguf', tinyGgufBytes({ metadata: [['tokenizer.ggml.model', text('odd')]] }))
    expect(await failure(openModel(path))).to.be.instanceOf(UnsupportedModelError).with.property('message').that.includes('odd.gguf').and.includes('"odd"')
  })

  it('stops when it is told to', async function () {
    const path = folder.write('stop.gguf', tinyGgufBytes())
    expect(await failure(openModel(path, { signal: AbortSignal.abort(new Error('enough')) }))).to.have.property('message', 'enough')
    const controller = new AbortController()
    const onProgress = (): void => controller.abort(new Error('while hashing'))
    expect(await failure(openModel(path, { signal: controller.signal, onProgress }))).to.have.property('message', 'while hashing')
  })

  it('opens a GGUF file; its id depends on weights and tokenizer', async function () {
    const events: OpenProgress[] = []
    const model = await openModel(folder.write('tiny.gguf', tinyGgufBytes()), { onProgress: event => events.push(event) })
    expect(model.name).to.equal('tiny')
    expect(events.at(-1)).to.have.property('done', events.at(-1)!.total)
    expect(model.generation).to.deep.include({ bosTokenId: 1 })
    expect(model.generation.stopTokenIds).to.include(2)
    expect(model.hasChatTemplate).to.equal(false)
    expect(() => model.renderChat([{ role: 'user', content: 'x' }])).to.throw(NoChatTemplateError)
    expect(model.unit(0).unit).to.equal('embed')
    expect(model.modelId).to.equal(manifestId(model.manifest))
    expect(decodeManifest(encodeManifest(model.manifest))).to.deep.equal(model.manifest)

    const changed = tinyGgufBytes()
    changed[changed.length - 1] ^= 1
    const weights = await openModel(folder.write('weights.gguf', changed))
    expect(weights.manifest.tokenizer).to.equal(model.manifest.tokenizer)
    expect(weights.manifest.units.filter((unit, i) => unit !== model.manifest.units[i])).to.have.length(1)
    const other = await openModel(folder.write('other.gguf', tinyGgufBytes({ metadata: [['tokenizer.ggml.pre', text('llama-bpe')]] })))
    expect(other.manifest.units).to.deep.equal(model.manifest.units)
    expect(other.modelId).not.to.equal(model.modelId)
  })

  it('opens the model that ships', async function () {
    const model = await openModel(shipped)
    expect(model.architecture).to.deep.include({ family: 'llama', layerCount: 8, hiddenSize: 192, tiedEmbedding: true })
    expect(model.manifest.units).to.have.length(10)
    expect(model.generation).to.deep.equal({ stopTokenIds: [0], bosTokenId: 1 })
    expect(model.unit(9).tensors.projection).to.equal(model.unit(0).tensors.embedding)
    // the same on every machine; another id is another model for every peer
    expect(model.modelId).to.equal('ed4bb5a263d7984c7117bef0a365cd74b49eaed63c1f22d735c84ed3b9d8b015')
  })
})

describe('describeFile', function () {
  it('gives sizes and counts', function () {
    const { kind, name, parameters, tensorBytes, bitsPerWeight, tensors, tokenizer, problem } = describeFile(shipped)
    expect({ kind, name, parameters, tensorBytes, bitsPerWeight, problem }).to.deep.equal({
      kind: 'safetensors', name: 'sotu-4m', parameters: 4_033_728, tensorBytes: 8_067_456, bitsPerWeight: 16, problem: null
    })
    expect(tensors).to.have.length(74)
    expect(tokenizer).to.include({ vocabularySize: 4096, chatTemplate: false })
  })

  it('is plain data', function () {
    const description = describeFile(shipped)
    expect(JSON.parse(JSON.stringify(description))).to.deep.equal(description)
  })
})
