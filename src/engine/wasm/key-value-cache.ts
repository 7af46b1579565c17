import { MAX_SESSIONS, PAGE_TILES, TILE } from './constants.ts'
import { PageAllocator } from '../page-allocator.ts'
import type { UnitRange } from '../../model/index.ts'
import type { ArenaLayout } from './arena-layout.ts'

/**
 * The KV cache of an engine. A page is PAGE_TILES tiles of 32 positions of all
 * layers, at the same place in every arena; a session's table of pointers to
 * its tiles lies in each arena, where kernels read it.
 */
export function createKeyValueCache (range: UnitRange, arenas: Array<{ layout: ArenaLayout, memory: WebAssembly.Memory }>): PageAllocator {
  const views = arenas.map(({ layout, memory }) => ({ layout, words: new Uint32Array(memory.buffer), bytes: new Uint8Array(memory.buffer) }))
  return new PageAllocator({
    range,
    pages: Math.min(...arenas.map(({ layout }) => layout.pageCount)),
    pagePositions: PAGE_TILES * TILE,
    sessions: MAX_SESSIONS,
    contextLength: arenas[0].layout.contextLength,
    onAssign ({ table, index, page, copyOf }) {
      for (const { layout, words, bytes } of views) {
        const start = layout.pages + page * layout.pageBytes
        if (copyOf !== undefined) {
          const source = layout.pages + copyOf * layout.pageBytes
          bytes.copyWithin(start, source, source + layout.pageBytes)
        }
        const entry = (layout.tables + table * layout.tableStride) / 4 + index * PAGE_TILES
        for (let tile = 0; tile < PAGE_TILES; tile++) words[entry + tile] = start + tile * layout.tileBytes
      }
    }
  })
}
