/** Runs one kind of mutated input to the end, in a thread whose memory is limited. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { decodeManifest, describeFile, encodeManifest, ManifestError, ModelFileError, NonFiniteWeightError, UnsupportedModelError } from '../../src/model/index.ts'
import { parseGguf } from '../../src/model/gguf/index.ts'
import { parseSafetensors } from '../../src/model/safetensors/index.ts'
import { memoryByteSource } from '../../src/model/tensor/index.ts'
import { createMutator } from './mutations.ts'
import { writeSafetensors } from './safetensors-writer.ts'
import { tinyConfig, tinyGgufBytes, tinySafetensors } from './tiny-models.ts'

export interface MutationJob { kind: 'gguf' | 'safetensors' | 'config' | 'index' | 'manifest', count: number, seed: number, folder: string, manifest: Uint8Array }

export interface MutationResult {
  /** inputs that were still valid */
  valid: number
  /** inputs that ended in each class of error */
  errors: Record<string, number>
  /** what should never be */
  unexpected: string[]
  /** most bytes in array buffers at any time */
  arrayBuffers: number
}

const TYPED = [ManifestError, ModelFileError, NonFiniteWeightError, UnsupportedModelError]

const { kind, count, seed, folder, manifest } = workerData as MutationJob

/** Checks of a valid result beyond not having thrown. */
function describeAll (path: string): void {
  const { files, tensors } = describeFile(path)
  for (const { name, offset, byteLength, file } of tensors) {
    if (!(offset >= 0 && byteLength >= 0 && offset + byteLength <= files[file].size)) throw new Error(`${name} goes beyond its file`)
  }
}

function prepare (): { original: Uint8Array, front: number, run: (bytes: Uint8Array) => void } {
  if (kind === 'manifest') {
    return {
      original: manifest,
      front: manifest.length,
      run: bytes => {
        if (Buffer.compare(encodeManifest(decodeManifest(bytes)), bytes) !== 0) throw new Error('decoded to another manifest')
      }
    }
  }
  if (kind === 'gguf') {
    const original = tinyGgufBytes()
    const path = join(folder, 'mutated.gguf')
    return {
      original,
      front: 3000,
      run: bytes => {
        // in memory first, so that a disk sees only what gets past the header
        parseGguf(memoryByteSource(path, bytes))
        writeFileSync(path, bytes)
        describeAll(path)
      }
    }
  }
  mkdirSync(folder, { recursive: true })
  const weights = writeSafetensors(tinySafetensors())
  const config = Buffer.from(JSON.stringify(tinyConfig({ rope_scaling: { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 } })))
  const weightMap = Object.fromEntries(tinySafetensors().map(({ name }) => [name, 'a.safetensors']))
  const index = Buffer.from(JSON.stringify({ metadata: {}, weight_map: weightMap }))
  writeFileSync(join(folder, 'config.json'), config)
  if (kind === 'index') {
    writeFileSync(join(folder, 'a.safetensors'), weights)
    writeFileSync(join(folder, 'model.safetensors.index.json'), index)
  } else writeFileSync(join(folder, 'model.safetensors'), weights)
  const [name, original] = ({
    safetensors: ['model.safetensors', weights], config: ['config.json', config], index: ['model.safetensors.index.json', index]
  } as const)[kind]
  return {
    original,
    front: 2600,
    run: bytes => {
      if (kind === 'safetensors') parseSafetensors(memoryByteSource(name, bytes))
      writeFileSync(join(folder, name), bytes)
      describeAll(folder)
    }
  }
}

const { original, front, run } = prepare()
const result: MutationResult = { valid: 0, errors: {}, unexpected: [], arrayBuffers: 0 }
run(original)
const mutate = createMutator(original, front, seed)
for (let i = 0; i < count; i++) {
  const bytes = mutate()
  try {
    run(bytes)
    result.valid++
  } catch (error) {
    const { name, message, stack } = error as Error
    if (TYPED.some(type => error instanceof type) && message.length > 10) result.errors[name] = (result.errors[name] ?? 0) + 1
    else if (result.unexpected.length < 5) result.unexpected.push(`input ${i}: ${stack}`)
  }
  if (i % 16 === 0) result.arrayBuffers = Math.max(result.arrayBuffers, process.memoryUsage().arrayBuffers)
}
parentPort!.postMessage(result)
