import type { WeightBlocks } from '../../src/model/index.ts'

/** Weights of canonical blocks, one float32 operation after the other. */
export function blockValues (blocks: WeightBlocks): Float32Array {
  return Float32Array.from(blocks.codes, (code, i) => {
    const block = Math.floor(i / 32)
    const value = Math.fround(blocks.scales[block] * (code - blocks.zero))
    return blocks.minimums === null ? value : Math.fround(value + blocks.minimums[block])
  })
}
