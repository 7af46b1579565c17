/** Packages for tests: made on the spot, with random weights. */
import { createPackageWriter, openModel, tensorByteLength } from '../../src/model/index.ts'
import type { Architecture, BlockStore, Compression, PackedTensor, TensorRole, TensorType, UnitTensors } from '../../src/model/index.ts'
import { expectedShape } from '../../src/model/config/index.ts'
import { randomIntegers, smallArchitecture } from './random-weights.ts'
import { tinyGgufBytes } from './tiny-models.ts'
import type { temporaryFolder } from './temporary-folder.ts'

export function randomBytesOf (length: number, seed: number): Uint8Array {
  const next = randomIntegers(seed)
  return new Uint8Array(Uint32Array.from({ length: Math.ceil(length / 4) }, next).buffer).subarray(0, length)
}

/** 8 layers of 3 MB: some dozen blocks each. */
export const MEDIUM: Architecture = smallArchitecture({ layerCount: 8, hiddenSize: 512, feedForwardSize: 1408, headCount: 8, keyValueHeadCount: 4, headSize: 64, vocabularySize: 1000, tiedEmbedding: true })

const LAYER: TensorRole[] = ['attentionNorm', 'query', 'key', 'value', 'attentionOutput', 'feedForwardNorm', 'gate', 'up', 'down']

/** Tensors of a unit with random bytes; norms are ones. The tied head has no projection. */
export function randomUnit (architecture: Architecture, unit: number, type: TensorType = 'Q8_0', seed = 1): UnitTensors {
  const roles: TensorRole[] = unit === 0 ? ['embedding'] : unit <= architecture.layerCount ? LAYER : architecture.tiedEmbedding ? ['finalNorm'] : ['finalNorm', 'projection']
  return Object.fromEntries(roles.map((role, i) => {
    const shape = expectedShape(role, architecture)
    if (shape.length === 1) return [role, { type: 'F32', shape, bytes: new Uint8Array(new Float32Array(shape[0]).fill(1).buffer) }]
    return [role, { type, shape, bytes: randomBytesOf(shape[0] * tensorByteLength(type, shape[1])!, seed + 100 * unit + i) }]
  }))
}

/** The same with finite numbers: an engine loads it. */
export function soundUnit (architecture: Architecture, unit: number, seed = 1): UnitTensors {
  const tensors = randomUnit(architecture, unit, 'Q8_0', seed)
  for (const tensor of Object.values(tensors)) {
    if (tensor.type !== 'Q8_0') continue
    const bytes = (tensor as PackedTensor).bytes as Uint8Array
    // of each block of 34 bytes the first two are a 16-bit scale: 2^-9
    for (let at = 0; at < bytes.length; at += 34) bytes.set([0, 0x18], at)
  }
  return tensors
}

type Folder = ReturnType<typeof temporaryFolder>

export async function tinyTokenizer (folder: Folder): Promise<Uint8Array> {
  const model = await openModel(folder.write('tokenizer.gguf', tinyGgufBytes()), { cacheDirectory: folder.path('cache') })
  return model.tokenizerData
}

/** Writes a package with random weights, and gives its modelId. */
export async function writeRandomPackage (
  folder: Folder, directory: string, architecture: Architecture, options: { seed?: number, compression?: Compression, unit?: (unit: number) => UnitTensors } = {}
): Promise<string> {
  const writer = await createPackageWriter({
    directory, architecture, tokenizer: await tinyTokenizer(folder), about: { name: 'random', generation: { stopTokenIds: [2], bosTokenId: 1 } }
  })
  for (let unit = 0; unit < architecture.layerCount + 2; unit++) await writer.addUnit(unit, options.unit?.(unit) ?? randomUnit(architecture, unit, 'Q8_0', options.seed))
  return (await writer.finish({ compression: options.compression })).modelId
}

/** A store that does something before it gives a block; `served` counts the blocks that were asked for. */
export function meddlingStore (store: BlockStore, meddle: (bytes: Uint8Array, served: number) => Uint8Array | undefined | Promise<Uint8Array | undefined>): BlockStore & { served: () => number } {
  let served = 0
  return {
    ...store,
    async block (id, index) {
      const bytes = await store.block(id, index)
      return bytes === undefined ? undefined : await meddle(bytes, ++served)
    },
    served: () => served
  }
}
