import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import {
  createBlockStore, createPackageWriter, decodeBlobHeader, deriveManifest, manifestId, ModelFileError, openModel, openPartialBlob, openWeights, PackageWriteError,
  packModel, readPackage, readPartialHeader, readTensorBytes, readTensorRows, UnitMissingError, verifyPackage, writeDerived
} from '../../../src/model/index.ts'
import type { Architecture, Compression, Model, UnitTensors } from '../../../src/model/index.ts'
import { createNewFile, packagePaths } from '../../../src/model/package/directory.ts'
import { readBlobHeaderBytes } from '../../../src/model/blob/index.ts'
import { sotuPath } from '../../support/golden-models.ts'
import { randomBytesOf, randomUnit, tinyTokenizer, writeRandomPackage } from '../../support/packages.ts'
import { smallArchitecture } from '../../support/random-weights.ts'
import { rejection } from '../../support/rejection.ts'
import { writeSafetensors } from '../../support/safetensors-writer.ts'
import { sharedPath } from '../../support/shared-data.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { tinyConfig, tinyGgufBytes, tinySafetensors } from '../../support/tiny-models.ts'

const folder = temporaryFolder()
let count = 0
const fresh = (): string => folder.path(`package-${count++}`)

/** All bytes of a unit's tensors, rows in canonical order. */
function bytesOf (model: { unit: Model['unit'] }, unit: number): string {
  const hash = createHash('sha256')
  for (const [role, source] of Object.entries(model.unit(unit).tensors).sort()) hash.update(role).update(readTensorBytes(source))
  return hash.digest('hex')
}

function expectSame (a: Model, b: Model): void {
  expect(a.modelId).to.equal(b.modelId)
  expect(a.manifest).to.deep.equal(b.manifest)
  for (let unit = 0; unit < a.manifest.units.length; unit++) expect(bytesOf(a, unit), `unit ${unit}`).to.equal(bytesOf(b, unit))
  const text = 'Fellow citizens, <|im_start|>  ünïcode \u{1f600}\n\n42'
  expect(a.tokenizer.encode(text)).to.deep.equal(b.tokenizer.encode(text))
  expect(a.generation).to.deep.equal(b.generation)
  expect([a.name, a.hasChatTemplate]).to.deep.equal([b.name, b.hasChatTemplate])
}

describe('package: a model is packed', function () {
  this.timeout(20_000)

  it('with the modelId, the bytes and the tokenizer of its safetensors files', async function () {
    const model = await openModel(sotuPath, { cacheDirectory: folder.path('cache') })
    const directory = fresh()
    let last = [0, 0]
    await packModel(model, directory, { onProgress: (done, total) => { last = [done, total] } })
    expect(last[0]).to.equal(last[1])
    expectSame(await openModel(directory), model)
    expect((await verifyPackage(directory)).sound).to.equal(true)
  })

  it('beside others who pack the same: a file that is there is left alone, since somebody may be reading it', async function () {
    const paths = packagePaths(fresh())
    const name = paths.blob('ab'.repeat(32))
    const files = [await createNewFile(paths), await createNewFile(paths)]
    for (const file of files) await file.write(Uint8Array.of(1, 2, 3), 0)
    await files[0].nameIt(name, { keep: true })
    const { ino, mtimeMs } = statSync(name)
    await files[1].nameIt(name, { keep: true })
    expect([statSync(name).ino, statSync(name).mtimeMs]).to.deep.equal([ino, mtimeMs])
    expect(readdirSync(paths.incoming)).to.deep.equal([])
  })

  it('of a GGUF file whose rows are permuted: file and package agree on the modelId', async function () {
    const model = await openModel(folder.write('tiny.gguf', tinyGgufBytes()), { cacheDirectory: folder.path('cache') })
    expect(model.unit(1).tensors.query).to.have.property('interleavedHeads', 2)
    const directory = fresh()
    await packModel(model, directory)
    const packed = await openModel(directory)
    expectSame(packed, model)
    expect(packed.unit(1).tensors.query).not.to.have.property('interleavedHeads')
  })

  it('of a real file, chat template included', async function () {
    const path = sharedPath('models', 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf')
    if (path === undefined) return this.skip()
    const model = await openModel(path, { cacheDirectory: folder.path('cache') })
    const directory = fresh()
    await packModel(model, directory)
    const packed = await openModel(directory)
    expectSame(packed, model)
    const messages = [{ role: 'user', content: 'Why?' }]
    expect(packed.renderChat(messages)).to.equal(model.renderChat(messages))
    rmSync(directory, { recursive: true })
  })

  it('once: what is there is left alone, and a part can grow', async function () {
    const model = await openModel(sotuPath, { cacheDirectory: folder.path('cache') })
    const directory = fresh()
    await packModel(model, directory, { range: { from: 2, to: 4 } })
    const blobs = (): string[] => readdirSync(join(directory, 'blobs')).sort()
    expect(blobs()).to.deep.equal([model.manifest.units[2], model.manifest.units[3], model.manifest.tokenizer].sort())
    const part = await openModel(directory)
    expect(bytesOf(part, 3)).to.equal(bytesOf(model, 3))
    expect(() => part.unit(4)).to.throw(UnitMissingError, 'layer 3')
    // the head is tied: it brings the embedding along
    await Promise.all([packModel(model, directory, { range: { from: 9, to: 10 } }), packModel(model, directory, { range: { from: 3, to: 5 } })])
    expect(blobs()).to.deep.equal([...[0, 2, 3, 4, 9].map(unit => model.manifest.units[unit]), model.manifest.tokenizer].sort())
    expectSame({ ...await openModel(directory), manifest: { ...model.manifest, units: [] } }, { ...model, manifest: { ...model.manifest, units: [] } })
    const report = await verifyPackage(directory)
    expect([report.sound, report.missing]).to.deep.equal([true, ['layer 0', 'layer 4', 'layer 5', 'layer 6', 'layer 7']])
    const other = await openModel(folder.write('other.gguf', tinyGgufBytes()), { cacheDirectory: folder.path('cache') })
    expect(await rejection(packModel(other, directory))).to.be.instanceOf(PackageWriteError)
  })

  it('and nothing half-written has a name after an abort, or after the file changed', async function () {
    const model = await openModel(sotuPath, { cacheDirectory: folder.path('cache') })
    const directory = fresh()
    const controller = new AbortController()
    const failed = await rejection(packModel(model, directory, {
      signal: controller.signal,
      onProgress: done => { if (done > 3_000_000) controller.abort(new Error('enough')) }
    }))
    expect(failed.message).to.equal('enough')
    expect(existsSync(join(directory, 'manifest.json'))).to.equal(false)
    expect(readdirSync(join(directory, 'incoming'))).to.deep.equal([])
    for (const id of readdirSync(join(directory, 'blobs'))) expect(() => readBlobHeaderBytes(join(directory, 'blobs', id), id)).not.to.throw()

    const path = folder.write('changing.gguf', tinyGgufBytes())
    const changing = await openModel(path, { cacheDirectory: folder.path('cache') })
    const bytes = readFileSync(path)
    bytes[bytes.length - 1] ^= 1
    writeFileSync(path, bytes)
    expect(await rejection(packModel(changing, fresh()))).to.be.instanceOf(PackageWriteError).with.property('message').that.contains('is not what it was')
  })

  it('and stores a tied matrix once, for readers one tensor', async function () {
    const directory = fresh()
    await packModel(await openModel(sotuPath, { cacheDirectory: folder.path('cache') }), directory)
    const { unit, manifest, header } = readPackage(directory)
    const [embedding, projection] = [unit(0).tensors.embedding!, unit(9).tensors.projection!]
    expect([projection.path, projection.offset]).to.deep.equal([embedding.path, embedding.offset])
    expect(header(9).dataLength).to.be.below(4096)
    expect(header(9).sections.map(({ role, blob }) => [role, blob])).to.deep.equal([['finalNorm', null], ['projection', manifest.units[0]]])
  })
})

describe('package: the same tensors from different files', function () {
  it('have one hash, since rows are in canonical order', async function () {
    const directory = fresh()
    mkdirSync(directory)
    writeFileSync(join(directory, 'model.safetensors'), writeSafetensors(tinySafetensors()))
    writeFileSync(join(directory, 'config.json'), JSON.stringify(tinyConfig()))
    const { hashUnits } = await import('../../../src/model/manifest/index.ts')
    const units = (path: string) => { const weights = openWeights(path); return Array.from({ length: 4 }, (_, unit) => weights.unit(unit)) }
    const [a, b] = [units(directory), units(folder.write('same.gguf', tinyGgufBytes()))]
    const [fromSafetensors, fromGguf] = [await hashUnits(a), await hashUnits(b)]
    expect(fromGguf[0]).to.equal(fromSafetensors[0])
    // the test's GGUF holds q as the other file has it, so its canonical rows are others
    expect(fromGguf[1]).not.to.equal(fromSafetensors[1])
    for (const unit of b) for (const tensor of Object.values(unit.tensors)) delete tensor.interleavedHeads
    expect(await hashUnits(b)).to.deep.equal(fromSafetensors)
  })
})

/** A quantised base with factors. */
function withFactors (architecture: Architecture, rank: number): (unit: number) => UnitTensors {
  return unit => {
    const tensors = randomUnit(architecture, unit, 'Q4_1')
    const { query } = tensors
    if (query !== undefined && 'bytes' in query) {
      const [rows, columns] = query.shape
      query.lowRank = {
        rank,
        left: { type: 'Q8_8', bytes: randomBytesOf(rows * rank / 8 * 9, 7) },
        right: { type: 'Q8_0', bytes: [randomBytesOf(rank * columns / 32 * 34, 8)] }
      }
    }
    return tensors
  }
}

describe('package: compression and ranks', function () {
  const architecture = smallArchitecture({ tiedEmbedding: true })
  const errors = { weighted: 0.01, frobenius: 0.02 }
  const compression = (rank = 32): Compression => ({
    source: 'a'.repeat(64), calibration: 'b'.repeat(64), units: [{ embedding: { mode: 'q4', rank: 0, errors } }, { query: { mode: 'q4+svd', rank, errors } }, { query: { mode: 'q4+svd', rank, errors } }, {}]
  })

  it('are told by the manifest, and readers get the factors', async function () {
    const directory = fresh()
    const modelId = await writeRandomPackage(folder, directory, architecture, { compression: compression(), unit: withFactors(architecture, 32) })
    const model = await openModel(directory)
    expect(model.modelId).to.equal(modelId)
    const { query } = model.unit(1).tensors
    expect(query).to.have.property('type', 'Q4_1')
    expect(query!.lowRank).to.deep.include({ rank: 32 })
    expect(Buffer.from(readTensorBytes(query!.lowRank!.left)).equals(randomBytesOf(64 * 36, 7))).to.equal(true)
    expect(query!.lowRank!.right.shape).to.deep.equal([32, 64])
    expect(model.unit(1).tensors.key).not.to.have.property('lowRank')
  })

  it('derive to a smaller rank of the same blobs, with a modelId of its own', async function () {
    const directory = fresh()
    const modelId = await writeRandomPackage(folder, directory, architecture, { compression: compression(), unit: withFactors(architecture, 32) })
    const { manifest } = readPackage(directory)
    const derived = deriveManifest(manifest, (unit, role, { errors }) => unit === 1 ? 8 : { rank: 0, errors })
    expect(derived.units).to.deep.equal(manifest.units)
    expect(derived.compression!.units[1].query).to.deep.equal({ mode: 'q4+svd', rank: 8, errors: { weighted: null, frobenius: null } })
    expect(derived.compression!.units[2].query).to.deep.equal({ mode: 'q4', rank: 0, errors })
    const blobs = readdirSync(join(directory, 'blobs'))
    const path = await writeDerived(directory, derived)
    const model = await openModel(path)
    expect(model.modelId).to.equal(manifestId(derived)).and.not.to.equal(modelId)
    expect(readdirSync(join(directory, 'blobs'))).to.deep.equal(blobs)
    const { left, right } = model.unit(1).tensors.query!.lowRank!
    const stored = Buffer.from(randomBytesOf(64 * 36, 7))
    const expected = Buffer.concat(Array.from({ length: 64 }, (_, row) => stored.subarray(row * 36, row * 36 + 9)))
    expect(expected.equals(readTensorBytes(left))).to.equal(true)
    expect(expected.subarray(3 * 9, 5 * 9).equals(readTensorRows(left, 3, 5))).to.equal(true)
    expect(Buffer.from(randomBytesOf(8 * 2 * 34, 8)).equals(readTensorBytes(right))).to.equal(true)
    expect(model.unit(2).tensors.query).not.to.have.property('lowRank')
    // the first is what it was
    expect((await openModel(directory)).unit(1).tensors.query!.lowRank!.rank).to.equal(32)
  })

  it('never grow, nor go to where there is nothing', async function () {
    const directory = fresh()
    await writeRandomPackage(folder, directory, architecture, { compression: compression(16), unit: withFactors(architecture, 32) })
    const { manifest, unit } = readPackage(directory)
    expect(unit(1).tensors.query!.lowRank!.rank).to.equal(16)
    for (const rank of [24, 12, -8]) expect(() => deriveManifest(manifest, () => rank)).to.throw(PackageWriteError)
    const failed = await rejection(writeRandomPackage(folder, fresh(), architecture, { compression: compression(40), unit: withFactors(architecture, 32) }))
    expect(failed).to.be.instanceOf(ModelFileError).with.property('field', 'query')
    expect((await rejection(writeRandomPackage(folder, fresh(), architecture, { compression: { ...compression(), source: 'x' }, unit: withFactors(architecture, 32) })))).to.be.instanceOf(PackageWriteError)
  })
})

describe('package: the writer', function () {
  const architecture = smallArchitecture({ tiedEmbedding: true })
  const writer = async () => await createPackageWriter({ directory: fresh(), architecture, tokenizer: await tinyTokenizer(folder), about: { name: 'a\nname', generation: { stopTokenIds: [], bosTokenId: null } } })
  const wrong: Array<[string, number, (tensors: UnitTensors) => UnitTensors, RegExp]> = [
    ['a missing tensor', 1, ({ key, ...rest }) => rest, /key: is missing/],
    ['a strange tensor', 1, tensors => ({ ...tensors, queryNorm: { type: 'F32', shape: [16], bytes: new Uint8Array(64) } }), /queryNorm: is not a tensor/],
    ['another shape', 1, tensors => ({ ...tensors, key: { type: 'F32', shape: [16, 64], bytes: new Uint8Array(4096) } }), /key: has shape/],
    ['too few bytes', 1, tensors => ({ ...tensors, key: { type: 'F32', shape: [32, 64], bytes: new Uint8Array(8191) } }), /8191 bytes are not the 8192/],
    ['too many bytes', 0, tensors => ({ ...tensors, embedding: { type: 'F32', shape: [320, 64], bytes: [new Uint8Array(80_000), new Uint8Array(2000)] } }), /more bytes than/],
    ['half blocks', 1, tensors => ({ ...tensors, key: { type: 'Q4_K', shape: [32, 64], bytes: new Uint8Array(1) } }), /not made of whole Q4_K blocks/],
    ['factors of other sizes', 1, tensors => ({ ...tensors, key: { ...tensors.value as { type: 'Q8_0', shape: number[], bytes: Uint8Array }, lowRank: { rank: 8, left: { type: 'Q8_8', bytes: new Uint8Array(32 * 9) }, right: { type: 'Q4_K', bytes: new Uint8Array(1) } } } }), /not made of whole Q4_K blocks/],
    ['factors of other types', 1, tensors => ({ ...tensors, key: { ...tensors.value as { type: 'Q8_0', shape: number[], bytes: Uint8Array }, lowRank: { rank: 8, left: { type: 'F32', bytes: new Uint8Array(32 * 8 * 4) }, right: { type: 'Q8_0', bytes: new Uint8Array(8 * 68) } } } }), /factors of F32 and Q8_0/],
    ['a left factor as a base', 1, tensors => ({ ...tensors, key: { type: 'Q8_8', shape: [32, 64], bytes: new Uint8Array(32 * 72) } }), /for left factors only/],
    ['a vector in blocks', 1, tensors => ({ ...tensors, attentionNorm: { type: 'Q8_0', shape: [64], bytes: new Uint8Array(68) } }), /Q8_0 base is not for a vector/],
    ['a tied head before the embedding', 3, tensors => tensors, /embedding has to be added before/],
    ['a unit that is none', 4, tensors => tensors, /there is no unit 4/]
  ]
  for (const [what, unit, change, message] of wrong) {
    it(`refuses ${what}`, async function () {
      const error = await rejection((await writer()).addUnit(unit, change(randomUnit(architecture, unit))))
      expect(error.message).to.match(message)
    })
  }

  it('refuses to end before all units are there, and a directory that has a package', async function () {
    const one = await writer()
    await one.addUnit(0, randomUnit(architecture, 0))
    expect((await rejection(one.finish())).message).to.match(/layer 0 has not been added/)
    const directory = fresh()
    await writeRandomPackage(folder, directory, architecture)
    expect(await rejection(writeRandomPackage(folder, directory, architecture))).to.be.instanceOf(PackageWriteError)
  })

  it('gives the same ids for the same units', async function () {
    const [a, b] = [fresh(), fresh()]
    expect(await writeRandomPackage(folder, a, architecture)).to.equal(await writeRandomPackage(folder, b, architecture))
    expect(await writeRandomPackage(folder, fresh(), architecture, { seed: 2 })).not.to.equal(readPackage(a).modelId)
  })

  it('stores a head of its own beside a tied embedding where it is given one', async function () {
    const directory = fresh()
    await writeRandomPackage(folder, directory, architecture, { unit: unit => unit === 3 ? randomUnit({ ...architecture, tiedEmbedding: false }, 3, 'Q4_0') : randomUnit(architecture, unit) })
    const { unit } = readPackage(directory)
    expect(unit(3).tensors.projection).to.include({ type: 'Q4_0' }).and.not.to.include({ path: unit(0).tensors.embedding!.path })
  })
})

describe('package: what is wrong is named', function () {
  let good: string
  let directory: string
  const architecture = smallArchitecture({ tiedEmbedding: true })

  before(async function () {
    good = fresh()
    await writeRandomPackage(folder, good, architecture)
  })
  beforeEach(function () {
    directory = fresh()
    cpSync(good, directory, { recursive: true })
  })

  const blob = (unit: number): string => join(directory, 'blobs', readPackage(directory).manifest.units[unit])

  async function expectRefused (file: string, field: string | RegExp): Promise<void> {
    const error = await rejection(openModel(directory))
    expect(error).to.be.instanceOf(ModelFileError)
    expect((error as ModelFileError).file).to.contain(file)
    expect((error as ModelFileError).field).to.match(new RegExp(field))
    if (file === 'manifest.json' || file === 'about.json') return
    const report = await verifyPackage(directory)
    expect(report.sound).to.equal(false)
    const bad = report.files.filter(({ problem }) => problem !== null)
    expect(bad[0].path).to.contain(file)
  }

  it('a turned bit in the data', async function () {
    const path = blob(1)
    const bytes = readFileSync(path)
    bytes[bytes.length - 5] ^= 4
    writeFileSync(path, bytes)
    await expectRefused(path, 'block 0')
  })

  it('a turned bit in the header', async function () {
    const path = blob(1)
    const bytes = readFileSync(path)
    bytes[100] ^= 1
    writeFileSync(path, bytes)
    await expectRefused(path, 'header')
  })

  it('a short file, and an empty one', async function () {
    const path = blob(2)
    truncateSync(path, 5000)
    await expectRefused(path, 'file')
    truncateSync(path, 0)
    await expectRefused(path, 'header')
  })

  it('another unit under the name', async function () {
    const path = blob(1)
    cpSync(blob(2), path)
    await expectRefused(path, 'header')
  })

  it('a manifest that names another unit', async function () {
    const { manifest } = readPackage(directory)
    const { encodeManifest } = await import('../../../src/model/index.ts')
    const [embed, first, , head] = manifest.units
    writeFileSync(join(directory, 'manifest.json'), encodeManifest({ ...manifest, units: [embed, first, embed, head] }))
    await expectRefused(embed, 'attentionNorm')
    writeFileSync(join(directory, 'manifest.json'), encodeManifest({ ...manifest, units: [first, first, first, head] }))
    expect(await rejection(openModel(directory))).to.be.instanceOf(ModelFileError)
  })

  it('a manifest that is not canonical, and an about that is not', async function () {
    writeFileSync(join(directory, 'about.json'), '{"name": "", "generation": {}}')
    await expectRefused('about.json', 'name')
    writeFileSync(join(directory, 'about.json'), '{"name": "x", "generation": {"stopTokenIds": [1], "bosTokenId": -1}}')
    await expectRefused('about.json', 'generation.bosTokenId')
    rmSync(join(directory, 'about.json'))
    expect((await openModel(directory)).generation).to.deep.equal({ stopTokenIds: [2], bosTokenId: 1 })
    writeFileSync(join(directory, 'manifest.json'), `${readFileSync(join(directory, 'manifest.json'), 'utf8')}\n`)
    await expectRefused('manifest.json', 'encoding')
  })
})

describe('package: blobs on their way', function () {
  const architecture = smallArchitecture({ tiedEmbedding: true, hiddenSize: 512, feedForwardSize: 512 })
  let source: string
  let id: string
  let header: Uint8Array
  before(async function () {
    source = fresh()
    await writeRandomPackage(folder, source, architecture)
    id = readPackage(source).manifest.units[1]
    header = createBlockStore([source]).header(id)!
  })
  const block = async (index: number): Promise<Uint8Array> => (await createBlockStore([source]).block(id, index))!

  it('take only blocks that have their hash, and go on after an interruption', async function () {
    const directory = fresh()
    const first = await openPartialBlob(directory, id, header)
    const total = first.missing.size
    expect(total).to.be.above(3)
    expect(await first.write(0, await block(1))).to.equal(false)
    expect(await first.write(0, (await block(0)).subarray(1))).to.equal(false)
    expect(await first.write(0, await block(0))).to.equal(true)
    expect(await first.write(2, await block(2))).to.equal(true)
    expect(await rejection(first.finish())).to.be.instanceOf(RangeError)
    await first.close()

    // a torn write
    const part = join(directory, 'incoming', `${id}.part`)
    const bytes = readFileSync(part)
    bytes[decodeBlobHeader(header, '').byteLength + 2 * 262_144 + 9] ^= 1
    writeFileSync(part, bytes)
    expect(await readPartialHeader(directory, id)).to.deep.equal(header)
    const second = await openPartialBlob(directory, id, header)
    expect([...second.missing]).to.deep.equal(Array.from({ length: total - 1 }, (_, i) => i + 1))
    for (const index of [...second.missing].reverse()) await second.write(index, await block(index))
    await second.finish()
    expect(readFileSync(join(directory, 'blobs', id)).equals(readFileSync(join(source, 'blobs', id)))).to.equal(true)
    expect(existsSync(part)).to.equal(false)
  })

  it('may be at hand twice', async function () {
    const directory = fresh()
    const both = [await openPartialBlob(directory, id, header), await openPartialBlob(directory, id, header)]
    for (const partial of both) for (const index of [...partial.missing]) await partial.write(index, await block(index))
    await Promise.all(both.map(async partial => await partial.finish()))
    expect(readFileSync(join(directory, 'blobs', id)).equals(readFileSync(join(source, 'blobs', id)))).to.equal(true)
  })

  it('do not begin with a header of another', async function () {
    const wrong = header.slice()
    wrong[70] ^= 1
    expect(await rejection(openPartialBlob(fresh(), id, wrong))).to.be.instanceOf(ModelFileError)
    const directory = fresh()
    mkdirSync(join(directory, 'incoming'), { recursive: true })
    writeFileSync(join(directory, 'incoming', `${id}.part`), wrong)
    expect(await readPartialHeader(directory, id)).to.equal(undefined)
  })

  it('are given out by hash, and no longer when their file is damaged', async function () {
    const directory = fresh()
    cpSync(source, directory, { recursive: true })
    const store = createBlockStore([directory])
    const { modelId, manifestBytes } = readPackage(directory)
    expect(store.manifest(modelId)).to.deep.equal(manifestBytes)
    expect(store.manifest(id)).to.equal(undefined)
    expect(store.header(modelId)).to.equal(undefined)
    expect(await store.block(id, 1_000_000)).to.equal(undefined)
    expect(await store.block(id, 0)).to.have.length(262_144)
    truncateSync(join(directory, 'blobs', id), 1000)
    expect(store.header(id)).to.equal(undefined)
    expect(await store.block(id, 1)).to.equal(undefined)
    rmSync(join(directory, 'blobs', id))
    expect(await store.block(id, 0)).to.equal(undefined)
  })
})
