import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { expect } from 'chai'
import { decodeManifest, encodeManifest, ManifestError, manifestId, ModelFileError, openWeights } from '../../../src/model/index.ts'
import type { Manifest, UnitSource } from '../../../src/model/index.ts'
import { CACHE_SUFFIX, cachedUnitHashes, canonicalJson, hashUnits } from '../../../src/model/manifest/index.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { tinyGgufBytes } from '../../support/tiny-models.ts'

const hash = (text: string): string => createHash('sha256').update(text).digest('hex')

const errors = (): { weighted: number, frobenius: null } => ({ weighted: 0.0125, frobenius: null })

function manifest (): Manifest {
  return {
    version: 2,
    architecture: {
      family: 'qwen3',
      layerCount: 2,
      hiddenSize: 64,
      feedForwardSize: 96,
      headCount: 2,
      keyValueHeadCount: 1,
      headSize: 32,
      vocabularySize: 100,
      contextLength: 256,
      normEpsilon: 1e-6,
      ropeTheta: 1e6,
      ropeScaling: { kind: 'llama3', factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContextLength: 64 },
      queryKeyNorm: true,
      slidingWindows: [null, 32],
      tiedEmbedding: false
    },
    profile: 'exact-1',
    conversion: 'exact-1/1',
    tokenizer: hash('tokenizer'),
    units: ['a', 'b', 'c', 'd'].map(hash),
    compression: {
      source: hash('source'),
      calibration: null,
      units: [{ embedding: { mode: 'q8', rank: 0, errors: errors() } }, { query: { mode: 'q4+svd', rank: 16, errors: errors() } }, {}, { projection: { mode: 'svd', rank: 8, errors: errors() } }]
    }
  }
}

type Path = Array<string | number>

function changed (path: Path, value: unknown): Uint8Array {
  const copy = structuredClone(manifest()) as never as Record<string | number, never>
  let at = copy
  for (const key of path.slice(0, -1)) at = at[key]
  const last = path[path.length - 1]
  if (value === undefined) delete at[last]
  else at[last] = value as never
  return Buffer.from(canonicalJson(copy))
}

describe('manifest', function () {
  it('refuses other encodings of the same, so that there is one id', function () {
    const text = canonicalJson(manifest())
    expect(() => decodeManifest(Buffer.from(JSON.stringify(manifest())))).to.throw(ManifestError, 'is not canonical')
    expect(() => decodeManifest(Buffer.from(text + '\n'))).to.throw(ManifestError, 'is not canonical')
    expect(() => decodeManifest(Buffer.from('\ufeff' + text))).to.throw(ManifestError, 'JSON')
    expect(() => decodeManifest(Buffer.from(text.replace('"version":2', '"version":2.0')))).to.throw(ManifestError, 'is not canonical')
    expect(() => decodeManifest(Buffer.from(text.replace('"version":2', '"version":2,"version":2')))).to.throw(ManifestError, 'is not canonical')
    expect(() => decodeManifest(Uint8Array.of(0x7b, 0xff, 0x7d))).to.throw(ManifestError, 'UTF-8')
    expect(() => decodeManifest(new Uint8Array(600_000))).to.throw(ManifestError, 'limit')
    expect(() => decodeManifest(Buffer.from('['.repeat(250_000)))).to.throw(ManifestError, 'JSON')
  })

  const bad: Array<[Path, unknown, string]> = [
    [['version'], 1, 'version'],
    [['profile'], 'exact-2', 'profile'],
    [['conversion'], 'x'.repeat(65), 'conversion'],
    [['conversion'], 'a\nb', 'conversion'],
    [['tokenizer'], 'ABC', 'tokenizer'],
    [['units'], {}, 'units'],
    [['units', 3], undefined, 'units[3]'],
    [['units', 4], hash('e'), 'units'],
    [['units', 1], hash('x').toUpperCase(), 'units[1]'],
    [['extra'], 1, 'extra'],
    [['architecture'], undefined, 'architecture'],
    [['architecture', 'more'], 1, 'architecture.more'],
    [['architecture', 'family'], 'gpt', 'architecture.family'],
    [['architecture', 'layerCount'], 3, 'architecture.slidingWindows'],
    [['architecture', 'layerCount'], 1e9, 'architecture.layerCount'],
    [['architecture', 'hiddenSize'], 65, 'architecture.hiddenSize'],
    [['architecture', 'headSize'], 33, 'architecture.headSize'],
    [['architecture', 'keyValueHeadCount'], 3, 'architecture.keyValueHeadCount'],
    [['architecture', 'vocabularySize'], -1, 'architecture.vocabularySize'],
    [['architecture', 'normEpsilon'], '1e-6', 'architecture.normEpsilon'],
    [['architecture', 'ropeTheta'], null, 'architecture.ropeTheta'],
    [['architecture', 'queryKeyNorm'], 1, 'architecture.queryKeyNorm'],
    [['architecture', 'slidingWindows', 0], 0, 'architecture.slidingWindows'],
    [['architecture', 'ropeScaling'], undefined, 'architecture.ropeScaling'],
    [['architecture', 'ropeScaling', 'kind'], 'yarn', 'architecture.ropeScaling.kind'],
    [['architecture', 'ropeScaling', 'factor'], 0, 'architecture.ropeScaling.factor'],
    [['architecture', 'ropeScaling', 'factor'], undefined, 'architecture.ropeScaling.factor'],
    [['architecture', 'ropeScaling', 'lowFrequencyFactor'], 4, 'architecture.ropeScaling.highFrequencyFactor'],
    [['architecture', 'ropeScaling'], { kind: 'factors', factors: [1] }, 'architecture.ropeScaling.factors'],
    [['architecture', 'ropeScaling'], { kind: 'factors', factors: new Array(16).fill(-1) }, 'architecture.ropeScaling.factors'],
    [['architecture', 'ropeScaling'], { kind: 'linear', factor: 2, more: 1 }, 'architecture.ropeScaling.more'],
    [['compression'], undefined, 'compression'],
    [['compression'], [], 'compression.value'],
    [['compression', 'source'], 'abc', 'compression.source'],
    [['compression', 'calibration'], undefined, 'compression.calibration'],
    [['compression', 'units', 3], undefined, 'compression.units[3]'],
    [['compression', 'units', 4], {}, 'compression.units'],
    [['compression', 'units', 1, 'embedding'], { mode: 'q8', rank: 0, errors: errors() }, 'compression.units[1].embedding'],
    [['compression', 'units', 1, 'queryBias'], { mode: 'q8', rank: 0, errors: errors() }, 'compression.units[1].queryBias'],
    [['compression', 'units', 1, 'query', 'mode'], 'q2', 'compression.units[1].query.mode'],
    [['compression', 'units', 1, 'query', 'mode'], 'q4', 'compression.units[1].query.rank'],
    [['compression', 'units', 1, 'query', 'rank'], 12, 'compression.units[1].query.rank'],
    [['compression', 'units', 1, 'query', 'rank'], 0, 'compression.units[1].query.rank'],
    [['compression', 'units', 1, 'query', 'rank'], 1e6, 'compression.units[1].query.rank'],
    [['compression', 'units', 1, 'query', 'errors', 'weighted'], -1, 'compression.units[1].query.errors.weighted'],
    [['compression', 'units', 1, 'query', 'errors', 'more'], 1, 'compression.units[1].query.errors.more']
  ]
  for (const [path, value, field] of bad) {
    it(`refuses ${path.join('.')} = ${String(JSON.stringify(value)).slice(0, 40)}`, function () {
      expect(() => decodeManifest(changed(path, value))).to.throw(ManifestError).with.property('field', field)
    })
  }

  it('encodes and decodes', function () {
    for (const ropeScaling of [null, { kind: 'linear', factor: 2 } as const, { kind: 'factors', factors: new Array<number>(16).fill(1.1) } as const]) {
      const value = manifest()
      value.architecture.ropeScaling = ropeScaling
      const bytes = encodeManifest(value)
      expect(decodeManifest(bytes)).to.deep.equal(value)
      expect(manifestId(value)).to.equal(createHash('sha256').update(bytes).digest('hex'))
    }
  })

  it('has an id that never changes for the same manifest', function () {
    expect(manifestId(manifest())).to.equal('36373ce20445c237e4541f2d9a779cc20c9f6d92ced9d46ccee5a23601e60c96')
  })
})

describe('hashes of units', function () {
  const folder = temporaryFolder()

  it('are SHA-256 of a header that has every tensor and the hash of every block, rows in canonical order', async function () {
    const path = folder.write('bytes', Uint8Array.from({ length: 200 }, (_, i) => i))
    const units: UnitSource[] = [{
      unit: 'layer 0',
      tensors: {
        // the order is that of roles, not that of keys
        query: { path, offset: 3, byteLength: 128, type: 'F32', shape: [4, 8], interleavedHeads: 1 },
        attentionNorm: { path, offset: 150, byteLength: 8, type: 'F16', shape: [4] }
      }
    }]
    const bytes = readFileSync(path)
    const row = (index: number): Buffer => bytes.subarray(3 + index * 32, 3 + (index + 1) * 32)
    const data = Buffer.concat([bytes.subarray(150, 158), new Uint8Array(56), row(0), row(2), row(1), row(3)])
    const header = Buffer.alloc(64 + 2 * 64 + 32)
    header.write('EFEDBLOB')
    header.writeUInt16LE(1, 8)
    header.writeUInt16LE(1, 10)
    header.writeUInt32LE(header.length, 12)
    header.writeUInt32LE(data.length, 16)
    header.writeUInt32LE(262_144, 24)
    header.writeUInt32LE(1, 28)
    header.writeUInt32LE(2, 32)
    const section = (at: number, [role, type, dimensions, rows, columns, offset, length]: number[]): void => {
      header.writeUInt8(role, at)
      header.writeUInt16LE(type, at + 2)
      header.writeUInt8(dimensions, at + 4)
      header.writeUInt32LE(rows, at + 8)
      header.writeUInt32LE(columns, at + 12)
      header.writeUInt32LE(offset, at + 16)
      header.writeUInt32LE(length, at + 24)
    }
    section(64, [2, 1, 1, 4, 0, 0, 8])
    section(128, [3, 0, 2, 4, 8, 64, 128])
    createHash('sha256').update(data).digest().copy(header, 192)
    expect(await hashUnits(units)).to.deep.equal([createHash('sha256').update(header).digest('hex')])
  })

  it('stops when it is told to, and names a file that ends too early', async function () {
    const path = folder.write('short', new Uint8Array(8))
    const units: UnitSource[] = [{ unit: 'embed', tensors: { embedding: { name: 'e', path, offset: 0, byteLength: 16, type: 'F32', shape: [1, 4] } } }]
    const failed = await hashUnits(units).then(() => undefined, error => error)
    expect(failed).to.be.instanceOf(ModelFileError).with.property('field', 'e')
    const aborted = await hashUnits(units, { signal: AbortSignal.abort(new Error('enough')) }).then(() => undefined, error => error)
    expect(aborted).to.have.property('message', 'enough')
  })

  describe('cache', function () {
    let model: string
    let count = 0

    beforeEach(function () {
      const directory = folder.path(`cache-${count++}`)
      mkdirSync(directory)
      model = `${directory}/tiny.gguf`
      writeFileSync(model, tinyGgufBytes())
    })

    /** Hashes, and whether they were computed. */
    async function hashes (cacheDirectory = folder.path('unused')): Promise<{ units: string[], computed: boolean }> {
      const weights = openWeights(model)
      const all = Array.from({ length: 4 }, (_, i) => weights.unit(i))
      let computed = false
      const units = await cachedUnitHashes(model, [model], all, { cacheDirectory, onProgress: () => { computed = true } })
      expect(units).to.deep.equal(await hashUnits(all))
      return { units, computed }
    }

    it('is made beside the file and used', async function () {
      expect((await hashes()).computed).to.equal(true)
      expect(existsSync(model + CACHE_SUFFIX)).to.equal(true)
      expect((await hashes()).computed).to.equal(false)
      expect(existsSync(folder.path('unused'))).to.equal(false)
    })

    it('does not outlive a change of the file', async function () {
      const before = await hashes()
      const bytes = readFileSync(model)
      bytes[bytes.length - 1] ^= 1
      writeFileSync(model, bytes)
      utimesSync(model, new Date(), new Date(Date.now() + 5000))
      const after = await hashes()
      expect(after.computed).to.equal(true)
      expect(after.units).not.to.deep.equal(before.units)
    })

    it('is made anew where it is damaged', async function () {
      await hashes()
      const cache = model + CACHE_SUFFIX
      const good = readFileSync(cache, 'utf8')
      for (const text of ['', '{', '[]', '{"units":[]}', good.replace(/[0-9a-f]{64}"\n/, 'xyz"\n'), good.replace('"version": 1', '"version": 2')]) {
        expect(text).not.to.equal(good)
        writeFileSync(cache, text)
        expect((await hashes()).computed, text).to.equal(true)
        expect(readFileSync(cache, 'utf8')).to.equal(good)
      }
    })

    it('goes to the cache folder where that beside the file is read-only', async function () {
      const directory = model.slice(0, -basename(model).length)
      const elsewhere = folder.path(`elsewhere-${count}`)
      chmodSync(directory, 0o555)
      try {
        expect((await hashes(elsewhere)).computed).to.equal(true)
        expect(existsSync(model + CACHE_SUFFIX)).to.equal(false)
        expect((await hashes(elsewhere)).computed).to.equal(false)
        rmSync(elsewhere, { recursive: true })
        expect((await hashes(elsewhere)).computed).to.equal(true)
      } finally {
        chmodSync(directory, 0o755)
      }
    })
  })
})
