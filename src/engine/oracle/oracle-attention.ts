import { exp, LIMIT_15, LIMIT_8, quantise } from './float.ts'

const fround = Math.fround

/** Positions whose attention weights share a scale. */
const TILE = 32

/** Shape of the attention of one layer. */
export interface AttentionShape {
  headCount: number
  keyValueHeadCount: number
  headSize: number
  /** positions a row sees, itself included */
  window: number
}

/** Of a position's keys, and of its values. */
type HeadShape = Pick<AttentionShape, 'keyValueHeadCount' | 'headSize'>

/** Quantised keys and values of one layer of one session: per position, keyValueHeadCount × headSize codes. */
export class OracleCache {
  keys = new Int8Array(0)
  values = new Int8Array(0)
  keyScales = new Float32Array(0)
  valueScales = new Float32Array(0)

  copy (): OracleCache {
    const copy = new OracleCache()
    copy.keys = this.keys.slice()
    copy.values = this.values.slice()
    copy.keyScales = this.keyScales.slice()
    copy.valueScales = this.valueScales.slice()
    return copy
  }

  /** Section 5, step 4: stores the rows of keys and values from `position` on. */
  store (keys: Float32Array, values: Float32Array, position: number, rows: number, block: number): void {
    const width = keys.length / rows
    this.#grow((position + rows) * width, block)
    const from = position * width
    const keyCodes = this.keys.subarray(from)
    const valueCodes = this.values.subarray(from)
    for (let at = 0; at < keys.length; at += block) {
      this.keyScales[(from + at) / block] = quantise(keys, at, block, LIMIT_8, keyCodes)
      this.valueScales[(from + at) / block] = quantise(values, at, block, LIMIT_8, valueCodes)
    }
  }

  /** Section 11: a position as bytes. */
  read (shape: HeadShape, position: number, bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#walk(shape, position,
      (codes, index, at) => { view.setInt8(at, codes[index]) },
      (scales, index, at) => { view.setFloat32(at, scales[index], true) })
  }

  /** Section 11: a position from bytes. */
  write (shape: HeadShape, position: number, bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#grow((position + 1) * shape.keyValueHeadCount * shape.headSize, Math.min(32, shape.headSize))
    this.#walk(shape, position,
      (codes, index, at) => { codes[index] = view.getInt8(at) },
      (scales, index, at) => { scales[index] = view.getFloat32(at, true) })
  }

  /** All codes and scales of a position in the order of section 11, each with its place in the bytes. */
  #walk (
    { keyValueHeadCount, headSize }: HeadShape, position: number,
    code: (codes: Int8Array, index: number, at: number) => void, scale: (scales: Float32Array, index: number, at: number) => void
  ): void {
    const block = Math.min(32, headSize)
    let at = 0
    for (let head = 0; head < keyValueHeadCount; head++) {
      const first = (position * keyValueHeadCount + head) * headSize
      for (const [codes, scales] of [[this.keys, this.keyScales], [this.values, this.valueScales]] as const) {
        for (let d = 0; d < headSize; d++) code(codes, first + d, at++)
        for (let b = 0; b < headSize / block; b++, at += 4) scale(scales, first / block + b, at)
      }
    }
  }

  /** Room for `end` codes of keys, and of values. */
  #grow (end: number, block: number): void {
    if (end <= this.keys.length) return
    const size = Math.max(end, 2 * this.keys.length)
    this.keys = grown(this.keys, new Int8Array(size))
    this.values = grown(this.values, new Int8Array(size))
    this.keyScales = grown(this.keyScales, new Float32Array(size / block))
    this.valueScales = grown(this.valueScales, new Float32Array(size / block))
  }
}

function grown<T extends Int8Array | Float32Array> (from: T, to: T): T {
  to.set(from)
  return to
}

/**
 * Section 7, for one row at position p.
 *
 * @param queries headCount × headSize floats from `at` on
 * @param out receives the result at the same places
 */
export function attend (shape: AttentionShape, cache: OracleCache, queries: Float32Array, at: number, p: number, out: Float32Array): void {
  const { headCount, keyValueHeadCount, headSize, window } = shape
  const block = Math.min(32, headSize)
  const blocks = headSize / block
  const width = keyValueHeadCount * headSize
  const group = headCount / keyValueHeadCount
  const first = Math.max(0, p - window + 1)
  const firstTile = Math.floor(first / TILE)
  const tiles = Math.floor(p / TILE) + 1 - firstTile
  const inverseRoot = fround(1 / Math.sqrt(headSize))

  const query = new Float32Array(headSize)
  const queryCodes = new Int16Array(headSize)
  const queryScales = new Float32Array(blocks)
  // e of the positions from firstTile × 32 on; what is not visible stays +0
  const weights = new Float32Array(tiles * TILE)
  const base = firstTile * TILE
  const tile = new Float32Array(TILE)
  const tileCodes = new Int16Array(TILE)
  const sums = new Float32Array(headSize)

  for (let head = 0; head < headCount; head++) {
    const column = Math.floor(head / group) * headSize
    // 1
    for (let d = 0; d < headSize; d++) query[d] = queries[at + head * headSize + d] * inverseRoot
    for (let b = 0; b < blocks; b++) queryScales[b] = quantise(query, b * block, block, LIMIT_15, queryCodes)
    // 2
    let largest = -Infinity
    for (let j = first; j <= p; j++) {
      const key = j * width + column
      let score = 0
      for (let b = 0; b < blocks; b++) {
        let dot = 0
        for (let d = b * block; d < (b + 1) * block; d++) dot = (dot + Math.imul(queryCodes[d], cache.keys[key + d])) | 0
        score = fround(score + fround(fround(dot) * fround(queryScales[b] * cache.keyScales[key / block + b])))
      }
      weights[j - base] = score
      largest = Math.max(largest, score)
    }
    // 3 and 4
    const lanes = new Float32Array(4)
    for (let j = first; j <= p; j++) {
      const e = exp(fround(weights[j - base] - largest))
      weights[j - base] = e
      lanes[j & 3] += e
    }
    const total = fround(fround(lanes[0] + lanes[1]) + fround(lanes[2] + lanes[3]))
    // 5
    sums.fill(0)
    for (let t = 0; t < tiles; t++) {
      // positions of this tile that are visible; beyond p there may be rows of an earlier, longer state
      const from = Math.max(first, base + t * TILE)
      const to = Math.min(p, base + t * TILE + TILE - 1)
      for (let b = 0; b < blocks; b++) {
        tile.fill(0)
        for (let j = from; j <= to; j++) {
          tile[j % TILE] = weights[j - base] * cache.valueScales[(j * width + column) / block + b]
        }
        const scale = quantise(tile, 0, TILE, LIMIT_15, tileCodes)
        for (let d = b * block; d < (b + 1) * block; d++) {
          let sum = 0
          for (let j = from; j <= to; j++) sum = (sum + Math.imul(tileCodes[j % TILE], cache.values[j * width + column + d])) | 0
          sums[d] += fround(fround(sum) * scale)
        }
      }
    }
    // 6
    const inverse = fround(1 / total)
    for (let d = 0; d < headSize; d++) out[at + head * headSize + d] = sums[d] * inverse
  }
}
