/**
 * Writes a GGUF file anew with its 4-bit matrices as Q4_0, the format for which
 * llama.cpp has its fastest kernels; everything else is kept as it is, byte for
 * byte. For comparing speed: quality suffers from quantising twice.
 *
 *   node bench/requantise.ts FROM.gguf TO.gguf
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseGguf } from '../src/model/gguf/index.ts'
import { memoryByteSource, readRange, readTensor, toTensorSource } from '../src/model/tensor/index.ts'
import type { StoredTensor } from '../src/model/tensor/index.ts'

const REPLACED = ['Q4_1', 'Q4_K']
/** Q4_0 among ggml's element types, and among the values of `general.file_type`. */
const TYPE_Q4_0 = 2
const FILE_TYPE_Q4_0 = 2
/** Elements and bytes of a block. */
const ELEMENTS = 32
const BYTES = 18

const [from, to] = process.argv.slice(2)
if (from === undefined || to === undefined) {
  console.error('Usage: node bench/requantise.ts FROM.gguf TO.gguf')
  process.exit(2)
}
requantise(from, to)

function requantise (from: string, to: string): void {
  const input = readFileSync(from)
  const file = parseGguf(memoryByteSource(from, input))
  const tensors = [...file.tensors.values()]
  const dataOffset = Math.min(...tensors.map(({ offset }) => offset))
  const header = Buffer.from(input.subarray(0, dataOffset))
  const parts: Buffer[] = [header]
  let offset = 0
  let at = firstDescriptor(header, tensors, file.alignment)
  let replaced = 0
  for (const tensor of tensors) {
    const isReplaced = REPLACED.includes(tensor.type)
    const data = isReplaced ? quantise(readTensor(toTensorSource(tensor))) : Buffer.from(readRange(from, tensor.offset, tensor.byteLength))
    at += descriptorBytes(tensor)
    if (isReplaced) {
      header.writeUInt32LE(TYPE_Q4_0, at - 12)
      replaced++
    }
    header.writeBigUInt64LE(BigInt(offset), at - 8)
    const padding = Buffer.alloc((file.alignment - data.length % file.alignment) % file.alignment)
    parts.push(data, padding)
    offset += data.length + padding.length
  }
  const key = 'general.file_type'
  const fileType = header.indexOf(key)
  // the value follows the key and its type
  if (fileType >= 0) header.writeUInt32LE(FILE_TYPE_Q4_0, fileType + key.length + 4)
  writeFileSync(to, Buffer.concat(parts))
  console.log(`${to}: ${replaced} of ${tensors.length} tensors are now Q4_0, ${((dataOffset + offset) / 1e6).toFixed(0)} MB`)
}

/** Name with its length, dimensions with their count, type, offset. */
function descriptorBytes ({ name, shape }: StoredTensor): number {
  return 8 + Buffer.byteLength(name) + 4 + 8 * shape.length + 4 + 8
}

/** Descriptors end where the header does, less a padding of unknown length. */
function firstDescriptor (header: Buffer, tensors: StoredTensor[], alignment: number): number {
  const length = tensors.reduce((sum, tensor) => sum + descriptorBytes(tensor), 0)
  const name = Buffer.from(tensors[0].name)
  for (let padding = 0; padding < alignment; padding++) {
    const start = header.length - padding - length
    if (header.readBigUInt64LE(start) === BigInt(name.length) && header.indexOf(name, start + 8) === start + 8) return start
  }
  throw new Error('descriptors of the tensors are not where they should be')
}

/** Blocks of 32 as ggml's reference quantiser makes them: the value of largest magnitude becomes code 0 exactly. */
function quantise (values: Float32Array): Buffer {
  const blocks = values.length / ELEMENTS
  const out = Buffer.alloc(blocks * BYTES)
  for (let block = 0; block < blocks; block++) {
    const x = values.subarray(block * ELEMENTS, (block + 1) * ELEMENTS)
    const extreme = x.reduce((a, b) => Math.abs(b) > Math.abs(a) ? b : a, 0)
    const scale = extreme / -8
    const code = (value: number) => scale === 0 ? 8 : Math.max(0, Math.min(15, Math.floor(value / scale + 8.5)))
    out.writeUInt16LE(toHalf(scale), block * BYTES)
    for (let i = 0; i < 16; i++) out[block * BYTES + 2 + i] = code(x[i]) | code(x[i + 16]) << 4
  }
  return out
}

/** Bits of the float16 nearest to a value, ties to even; scales are far from both ends of its range or so small that 0 will do. */
function toHalf (value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0]
  const sign = bits >>> 16 & 0x8000
  const exponent = (bits >>> 23 & 0xff) - 127
  if (exponent < -24) return sign
  if (exponent > 15) throw new RangeError(`a scale of ${value} is no float16`)
  const mantissa = bits & 0x7fffff
  if (exponent >= -14) {
    const half = (exponent + 15) << 10 | mantissa >>> 13
    return sign | half + roundUp(half, mantissa & 0x1fff, 0x1000)
  }
  const shift = 13 - 14 - exponent
  const whole = mantissa | 0x800000
  const half = whole >>> shift
  return sign | half + roundUp(half, whole & ((1 << shift) - 1), 1 << (shift - 1))
}

function roundUp (kept: number, rest: number, half: number): number {
  return rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0
}
