import { createHash } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { canonicalJson } from '../../../src/model/manifest/index.ts'
import {
  createTokenizerFromCanonical, createTokenizerFromFiles, decodeManifest, encodeManifest, ManifestError, ModelFileError, openModel, readPackage,
  TokenizerFormatError, UnitMissingError, UnsupportedModelError, UnsupportedTokenizerError
} from '../../../src/model/index.ts'
import type { Compression, TensorSource } from '../../../src/model/index.ts'
import { createMutator } from '../../support/mutations.ts'
import { writeRandomPackage } from '../../support/packages.ts'
import { integerGenerator } from '../../support/random-bytes.ts'
import { smallArchitecture } from '../../support/random-weights.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const SENTENCE_PIECE = {
  tokenizerJson: {
    model: { type: 'BPE', vocab: Object.fromEntries(['<unk>', '<1>', '\u2581', 'H', 'e', 'l', 'o', 'He', 'll', '<0x41>'].map((token, id) => [token, id])), merges: ['H e', 'l l'], unk_token: '<unk>', byte_fallback: true },
    added_tokens: [{ id: 1, content: '<1>', special: true }],
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '\u2581' }, { type: 'Replace', pattern: { String: ' ' }, content: '\u2581' }] },
    decoder: { type: 'Sequence', decoders: [{ type: 'Replace', pattern: { String: '\u2581' }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 0 }] }
  }
}

const TYPED = [ModelFileError, UnsupportedModelError, UnitMissingError, ManifestError]
const ODD = [null, true, '', 'x', 'a'.repeat(64), [], {}, 0, -1, 1, 7, 8, 16, 0.5, 2 ** 31, 2 ** 53, 1e300, ['a'], { rank: 8 }]

/** Replaces, drops or adds something anywhere in plain data. */
function mutateData (value: unknown, below: (limit: number) => number): unknown {
  if (typeof value !== 'object' || value === null || below(6) === 0) return structuredClone(ODD[below(ODD.length)])
  const copy = structuredClone(value) as Record<string, unknown>
  const keys = Object.keys(copy)
  const key = keys.length === 0 ? 'more' : keys[below(keys.length)]
  if (below(12) === 0) {
    if (Array.isArray(copy)) copy.splice(Number(key), 1)
    else delete copy[key]
  } else copy[below(30) === 0 ? `${key}2` : key] = mutateData(copy[key], below) as never
  return copy
}

describe('mutated packages end in a typed error or a valid model, and nothing is hosted', function () {
  this.timeout(120_000)
  const folder = temporaryFolder()
  const architecture = smallArchitecture({ tiedEmbedding: true })
  const errors = () => ({ weighted: 0.25, frobenius: null })
  const compression: Compression = {
    source: 'a'.repeat(64), calibration: null, units: [{ embedding: { mode: 'q8', rank: 0, errors: errors() } }, { query: { mode: 'q8', rank: 0, errors: errors() } }, {}, {}]
  }
  let directory: string
  let main: string
  let original: Uint8Array

  before(async function () {
    directory = folder.path('package')
    main = join(directory, 'manifest.json')
    await writeRandomPackage(folder, directory, architecture, { compression })
    original = readFileSync(main)
  })

  interface Counts { valid: number, refused: number }

  /** A model that opens has tensors inside their files only. */
  async function open (counts: Counts): Promise<void> {
    const before = process.memoryUsage().arrayBuffers
    try {
      const model = await openModel(directory)
      for (let unit = 0; unit < model.manifest.units.length; unit++) {
        for (const source of Object.values(model.unit(unit).tensors) as TensorSource[]) {
          expect(source.offset + source.byteLength).to.be.at.most(readFileSync(source.path).length)
        }
      }
      counts.valid++
    } catch (error) {
      if (!TYPED.some(type => error instanceof type)) throw error
      expect((error as Error).message.length).to.be.above(10)
      counts.refused++
    }
    expect(process.memoryUsage().arrayBuffers - before).to.be.below(64 << 20)
  }

  it('1000 manifests, bytes turned', async function () {
    const counts = { valid: 0, refused: 0 }
    const mutate = createMutator(original, original.length, 99)
    for (let i = 0; i < 1000; i++) {
      writeFileSync(main, mutate())
      await open(counts)
    }
    expect(counts.refused).to.be.above(900)
  })

  it('1000 manifests, well-formed ones with other contents', async function () {
    const counts = { valid: 0, refused: 0 }
    const below = integerGenerator(7)
    const value = JSON.parse(Buffer.from(original).toString()) as unknown
    for (let i = 0; i < 1000; i++) {
      writeFileSync(main, canonicalJson(mutateData(value, below)))
      await open(counts)
    }
    expect(counts.refused).to.be.above(500)
    expect(counts.valid).to.be.above(5)
  })

  it('1000 unit files', async function () {
    writeFileSync(main, original)
    const counts = { valid: 0, refused: 0 }
    const path = join(directory, 'blobs', readPackage(directory).manifest.units[1])
    const bytes = readFileSync(path)
    const mutate = createMutator(bytes, 700, 5)
    for (let i = 0; i < 1000; i++) {
      const mutated = mutate()
      writeFileSync(path, mutated)
      const same = Buffer.compare(mutated, bytes) === 0
      const before = counts.valid
      await open(counts)
      expect(counts.valid > before, `input ${i}`).to.equal(same)
    }
    writeFileSync(path, bytes)
    await open(counts)
    expect(counts.valid).to.be.above(0)
  })

  it('1000 unit files whose hash is in the manifest: a hostile publisher', async function () {
    const manifest = decodeManifest(original)
    const good = readFileSync(join(directory, 'blobs', manifest.units[1]))
    const headerLength = good.readUInt32LE(12)
    const counts = { valid: 0, refused: 0 }
    const mutate = createMutator(good, headerLength, 6)
    for (let i = 0; i < 1000; i++) {
      const bytes = mutate()
      const id = createHash('sha256').update(bytes.subarray(0, headerLength)).digest('hex')
      const path = join(directory, 'blobs', id)
      const changed = id !== manifest.units[1]
      writeFileSync(path, bytes)
      writeFileSync(main, encodeManifest({ ...manifest, units: manifest.units.with(1, id) }))
      await open(counts)
      if (changed) rmSync(path)
      else writeFileSync(path, good)
    }
    expect(counts.refused).to.be.above(500)
  })

  it('1000 tokenizers', async function () {
    writeFileSync(main, original)
    const below = integerGenerator(8)
    const good = createTokenizerFromCanonical(readPackage(directory).readTokenizerData())
    const values = [JSON.parse(Buffer.from(good.canonical).toString()), JSON.parse(Buffer.from(createTokenizerFromFiles(SENTENCE_PIECE).canonical).toString())] as unknown[]
    const counts = { valid: 0, refused: 0 }
    for (let i = 0; i < 1000; i++) {
      const bytes = Buffer.from(canonicalJson(mutateData(values[i % 2], below)))
      try {
        const { tokenizer, canonical } = createTokenizerFromCanonical(bytes)
        expect(Buffer.compare(canonical, bytes)).to.equal(0)
        expect(tokenizer.decode(tokenizer.encode('Hello <1> \u2581 world'))).to.be.a('string')
        counts.valid++
      } catch (error) {
        if (!(error instanceof TokenizerFormatError || error instanceof UnsupportedTokenizerError)) throw error
        counts.refused++
      }
    }
    expect(counts.refused).to.be.above(300)
    expect(counts.valid).to.be.above(20)
  })
})
