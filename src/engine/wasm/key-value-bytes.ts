import { keyValueShape } from '../key-values.ts'
import { PAGE_TILES, TILE } from './constants.ts'
import type { Architecture, UnitRange } from '../../model/index.ts'
import type { KeyValueShape } from '../key-values.ts'
import type { ArenaLayout } from './arena-layout.ts'

/** Positions [from, to) of the session with a page table, in the layers of a range. */
export interface KeyValueSpan {
  range: UnitRange
  table: number
  from: number
  to: number
}

/** Where a key or a value has its codes in a tile: those of position 0, and how far behind them those of another position are. */
interface TileOrder {
  elements: Uint16Array
  shifts: Uint16Array
}

/**
 * Keys and values between the tiles of the KV cache and the bytes of
 * docs/numerics.md, section 11. src/engine/kernels/attention.ts says how they
 * lie in a tile.
 */
export class KeyValueBytes {
  readonly #shape: KeyValueShape
  readonly #arenas: Array<{ layout: ArenaLayout, words: Uint32Array, memory: Uint8Array }>
  readonly #keys: TileOrder
  readonly #values: TileOrder
  /** a copy of a tile: single bytes are much slower to reach in shared memory of gigabytes */
  readonly #tile: Uint8Array

  constructor (architecture: Architecture, arenas: Array<{ layout: ArenaLayout, memory: WebAssembly.Memory }>) {
    const { headSize } = architecture
    this.#shape = keyValueShape(architecture)
    this.#arenas = arenas.map(({ layout, memory }) => ({ layout, words: new Uint32Array(memory.buffer), memory: new Uint8Array(memory.buffer) }))
    this.#keys = tileOrder(headSize, i => (i >> 1) * 2 * TILE + (i & 1), position => 2 * position)
    this.#values = tileOrder(headSize, i => (i >> 4) * 16 * TILE + 2 * (i & 15), position => (position >> 1) * 32 + (position & 1))
    this.#tile = new Uint8Array(arenas[0].layout.tileBytes)
  }

  /** From the cache into the bytes, which are as many as the span has. */
  read (span: KeyValueSpan, bytes: Uint8Array): void {
    this.#forEachTile(span, bytes, (memory, tile, order, from, to, at, stride) => {
      this.#tile.set(memory.subarray(tile, tile + this.#tile.length))
      for (let position = from; position < to; position++, at += stride) this.#readVector(order, position, bytes, at)
    })
  }

  /** From the bytes into the cache, where the session has pages for the span. */
  write (span: KeyValueSpan, bytes: Uint8Array): void {
    this.#forEachTile(span, bytes, (memory, tile, order, from, to, at, stride) => {
      this.#tile.set(memory.subarray(tile, tile + this.#tile.length))
      for (let position = from; position < to; position++, at += stride) this.#writeVector(order, position, bytes, at)
      memory.set(this.#tile, tile)
    })
  }

  /** Calls for positions [from, to) of each tile, with the place of the first one's vector in the bytes and the distance to the next one's. */
  #forEachTile ({ range, table, from, to }: KeyValueSpan, bytes: Uint8Array, move: (memory: Uint8Array, tile: number, order: TileOrder, from: number, to: number, at: number, stride: number) => void): void {
    const { heads, vectorBytes } = this.#shape
    const stride = bytes.length / (to - from)
    let vector = 0
    for (const { layout, words, memory } of this.#arenas) {
      const entry = (layout.tables + table * layout.tableStride) / 4
      const runBytes = layout.tileBytes * PAGE_TILES
      for (const { kind, unit, tiles } of layout.units) {
        if (kind !== 'layer' || unit < range.from || unit >= range.to) continue
        for (let run = 0; run < 2 * heads; run++, vector += vectorBytes) {
          const order = run % 2 === 0 ? this.#keys : this.#values
          for (let tile = Math.floor(from / TILE); tile * TILE < to; tile++) {
            const first = Math.max(from, tile * TILE)
            move(memory, words[entry + tile] + tiles + run * runBytes, order, first - tile * TILE, Math.min(to - tile * TILE, TILE), vector + (first - from) * stride, stride)
          }
        }
      }
    }
  }

  #readVector ({ elements, shifts }: TileOrder, position: number, bytes: Uint8Array, at: number): void {
    const { headSize, blocks } = this.#shape
    const tile = this.#tile
    const shift = shifts[position]
    for (let i = 0; i < headSize; i++) bytes[at + i] = tile[elements[i] + shift]
    const scales = TILE * headSize + 4 * position
    for (let i = 0; i < 4 * blocks; i++) bytes[at + headSize + i] = tile[scales + (i >> 2) * 4 * TILE + (i & 3)]
  }

  #writeVector ({ elements, shifts }: TileOrder, position: number, bytes: Uint8Array, at: number): void {
    const { headSize, blocks } = this.#shape
    const tile = this.#tile
    const shift = shifts[position]
    for (let i = 0; i < headSize; i++) tile[elements[i] + shift] = bytes[at + i]
    const scales = TILE * headSize + 4 * position
    for (let i = 0; i < 4 * blocks; i++) tile[scales + (i >> 2) * 4 * TILE + (i & 3)] = bytes[at + headSize + i]
  }
}

function tileOrder (headSize: number, element: (i: number) => number, shift: (position: number) => number): TileOrder {
  return { elements: Uint16Array.from({ length: headSize }, (_, i) => element(i)), shifts: Uint16Array.from({ length: TILE }, (_, position) => shift(position)) }
}
