import { isUtf8 } from 'node:buffer'
import { FIRST_HEADER_READ_BYTES, MAX_GGUF_HEADER_BYTES } from '../constants.ts'
import { ModelFileError } from '../errors.ts'
import type { ByteSource } from '../tensor/index.ts'

/**
 * Reads the header front to back. Nothing is reserved beyond the file's size:
 * every length is compared with the bytes that remain before it is used.
 */
export class Cursor {
  #source: ByteSource
  #buffer: Buffer
  #view: DataView
  #position = 0
  /** where the value being read starts */
  #at = 0

  constructor (source: ByteSource) {
    this.#source = source
    this.#buffer = Buffer.alloc(0)
    this.#view = new DataView(this.#buffer.buffer, 0, 0)
  }

  get position (): number {
    return this.#position
  }

  get remaining (): number {
    return this.#source.size - this.#position
  }

  fail (field: string, reason: string): never {
    throw new ModelFileError(this.#source.path, field, reason)
  }

  u8 (field: string): number { return this.#loaded(1, field).getUint8(this.#at) }
  i8 (field: string): number { return this.#loaded(1, field).getInt8(this.#at) }
  u16 (field: string): number { return this.#loaded(2, field).getUint16(this.#at, true) }
  i16 (field: string): number { return this.#loaded(2, field).getInt16(this.#at, true) }
  u32 (field: string): number { return this.#loaded(4, field).getUint32(this.#at, true) }
  i32 (field: string): number { return this.#loaded(4, field).getInt32(this.#at, true) }
  f32 (field: string): number { return this.#loaded(4, field).getFloat32(this.#at, true) }
  f64 (field: string): number { return this.#loaded(8, field).getFloat64(this.#at, true) }
  u64 (field: string): number | bigint { return narrow(this.#loaded(8, field).getBigUint64(this.#at, true)) }
  i64 (field: string): number | bigint { return narrow(this.#loaded(8, field).getBigInt64(this.#at, true)) }

  /** A u64 that counts things of at least `unitBytes` bytes each, all of them still to come. */
  count (field: string, unitBytes: number, limit: number): number {
    const value = this.u64(field)
    if (typeof value === 'bigint' || value > limit) this.fail(field, `${value} is more than the limit of ${limit}`)
    if (value * unitBytes > this.remaining) {
      this.fail(field, `${value} needs at least ${value * unitBytes} bytes, but only ${this.remaining} remain (truncated file?)`)
    }
    return value
  }

  string (field: string, limit = MAX_GGUF_HEADER_BYTES): string {
    const length = this.count(`${field} length`, 1, limit)
    this.#loaded(length, field)
    const start = this.#at
    const text = this.#buffer.toString('utf8', start, start + length)
    // the decoder writes U+FFFD for broken bytes; only then is a second look needed
    if (text.includes('\ufffd') && !isUtf8(this.#buffer.subarray(start, start + length))) this.fail(field, 'is not UTF-8')
    return text
  }

  /** Moves over `length` bytes, which are then in the buffer from `#at` on. */
  #loaded (length: number, field: string): DataView {
    const end = this.#position + length
    if (end > this.#buffer.length) this.#load(end, field)
    this.#at = this.#position
    this.#position = end
    return this.#view
  }

  #load (end: number, field: string): void {
    if (end > this.#source.size) {
      this.fail(field, `the file ends at byte ${this.#source.size}, but this field reaches to byte ${end} (truncated file?)`)
    }
    if (end > MAX_GGUF_HEADER_BYTES) this.fail(field, `the header is larger than the limit of ${MAX_GGUF_HEADER_BYTES} bytes`)
    const length = Math.min(this.#source.size, MAX_GGUF_HEADER_BYTES, Math.max(end, this.#buffer.length * 2, FIRST_HEADER_READ_BYTES))
    const bytes = this.#source.read(0, length, field)
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
}

function narrow (value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
