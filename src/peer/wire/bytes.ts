import { FrameError } from '../errors.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/** Reads little-endian fields; every read names its field in the error. */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #offset = 0

  constructor (bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get remaining (): number {
    return this.#bytes.length - this.#offset
  }

  u8 (field: string): number {
    return this.#view.getUint8(this.#take(1, field))
  }

  u16 (field: string): number {
    return this.#view.getUint16(this.#take(2, field), true)
  }

  u32 (field: string): number {
    return this.#view.getUint32(this.#take(4, field), true)
  }

  f64 (field: string): number {
    return this.#view.getFloat64(this.#take(8, field), true)
  }

  /** a view, not a copy */
  bytes (length: number, field: string): Uint8Array {
    const start = this.#take(length, field)
    return this.#bytes.subarray(start, start + length)
  }

  /** u16 length and bytes */
  block (maximum: number, field: string): Uint8Array {
    const length = this.u16(field)
    if (length > maximum) throw new FrameError(field, `has ${length} bytes, ${maximum} are allowed`)
    return this.bytes(length, field)
  }

  text (maximum: number, field: string): string {
    const bytes = this.block(maximum, field)
    try {
      return decoder.decode(bytes)
    } catch {
      throw new FrameError(field, 'is not UTF-8')
    }
  }

  end (what: string): void {
    if (this.remaining !== 0) throw new FrameError(what, `has ${this.remaining} bytes too many`)
  }

  #take (length: number, field: string): number {
    if (length > this.remaining) throw new FrameError(field, 'ends too early')
    const start = this.#offset
    this.#offset += length
    return start
  }
}

/** Writes little-endian fields into a buffer that grows. */
export class ByteWriter {
  #bytes = new Uint8Array(256)
  #view = new DataView(this.#bytes.buffer)
  #length = 0

  u8 (value: number): this {
    const at = this.#extend(1)
    this.#view.setUint8(at, value)
    return this
  }

  u16 (value: number): this {
    const at = this.#extend(2)
    this.#view.setUint16(at, value, true)
    return this
  }

  u32 (value: number): this {
    const at = this.#extend(4)
    this.#view.setUint32(at, value, true)
    return this
  }

  f64 (value: number): this {
    const at = this.#extend(8)
    this.#view.setFloat64(at, value, true)
    return this
  }

  bytes (value: Uint8Array): this {
    const start = this.#extend(value.length)
    this.#bytes.set(value, start)
    return this
  }

  block (value: Uint8Array, maximum: number, field: string): this {
    if (value.length > maximum) throw new FrameError(field, `has ${value.length} bytes, ${maximum} are allowed`)
    return this.u16(value.length).bytes(value)
  }

  text (value: string, maximum: number, field: string): this {
    return this.block(encoder.encode(value), maximum, field)
  }

  /** UTF-8, cut at a character where too long */
  clippedText (value: string, maximum: number): this {
    const bytes = new Uint8Array(maximum)
    const { written } = encoder.encodeInto(value, bytes)
    return this.u16(written).bytes(bytes.subarray(0, written))
  }

  finish (): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #extend (length: number): number {
    const start = this.#length
    this.#length += length
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.length))
      larger.set(this.#bytes.subarray(0, start))
      this.#bytes = larger
      this.#view = new DataView(larger.buffer)
    }
    return start
  }
}
