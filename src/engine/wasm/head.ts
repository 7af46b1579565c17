import { log64 } from '../exact-math.ts'
import { LOGIT_ROWS } from './constants.ts'
import { innerProduct } from './inner-product.ts'
import type { Architecture } from '../../model/index.ts'
import type { RowOutput, RowResult } from '../types.ts'
import type { Arena } from './arena.ts'
import type { UnitLayout } from './arena-layout.ts'
import type { Step } from './step.ts'

/**
 * Final norm and projection of the rows that want an output, as one of
 * `threads` threads; returns the results of this thread's rows.
 * `onNotFinite` is told of rows whose logits are not finite.
 */
export function runHead (arena: Arena, a: Architecture, unit: UnitLayout, step: Step, onNotFinite: (row: number) => void): RowResult[] {
  const { kernels, layout: { scratch } } = arena
  const matrix = unit.matrices.projection!
  const results: RowResult[] = []
  for (let first = 0; first < step.outputs.length; first += LOGIT_ROWS) {
    const wanted = step.outputs.slice(first, first + LOGIT_ROWS)
    for (let i = arena.thread; i < wanted.length; i += arena.threads) {
      const at = wanted[i].row * a.hiddenSize * 4
      kernels.rmsNorm(scratch.hidden + at, unit.vectors.finalNorm!.offset, scratch.temporary + at, a.hiddenSize, a.normEpsilon)
      arena.quantise(scratch.temporary + at, scratch.activations, i, a.hiddenSize)
    }
    arena.barrier()
    innerProduct(arena, unit.factors.projection, scratch.activations, wanted.length)
    arena.forEachPiece(matrix.paddedRows, 16, (from, to) => {
      arena.product(matrix, scratch.activations, scratch.logits, from, to, wanted.length)
    })
    arena.barrier()
    for (let i = arena.thread; i < wanted.length; i += arena.threads) {
      const at = scratch.logits + i * matrix.paddedRows * 4
      const maxima = scratch.logitMaxima + i * matrix.paddedRows / 4
      if (kernels.largestOfSixteen(at, matrix.paddedRows, maxima) === 0) {
        onNotFinite(wanted[i].row)
        continue
      }
      const padded = arena.floats.subarray(at / 4, at / 4 + matrix.paddedRows)
      padded.fill(-Infinity, matrix.rows)
      results.push(describeRow(arena, wanted[i].row, wanted[i].output, padded.subarray(0, matrix.rows), arena.floats.subarray(maxima / 4, (maxima + matrix.paddedRows / 4) / 4), at, matrix.paddedRows))
    }
    // the next rows overwrite logits and activations
    arena.barrier()
  }
  return results
}

function describeRow (arena: Arena, row: number, output: RowOutput, logits: Float32Array, maxima: Float32Array, at: number, padded: number): RowResult {
  if (output.kind === 'logits') return { row, logits: Float32Array.from(logits) }
  const ids = topIds(logits, maxima, output.kind === 'top' ? output.count : 1)
  const maximum = logits[ids[0]]
  const logSumExp = maximum + log64(arena.kernels.expSum(at, padded, maximum))
  if (output.kind === 'top') return { row, ids, values: gather(logits, ids), logSumExp }
  return { row, ids: Uint32Array.from(output.ids), values: gather(logits, output.ids), logSumExp, argmax: ids[0] }
}

function gather (logits: Float32Array, ids: ArrayLike<number>): Float32Array {
  const values = new Float32Array(ids.length)
  for (let i = 0; i < ids.length; i++) values[i] = logits[ids[i]]
  return values
}

/**
 * Ids of the `count` largest values, largest first, the lowest id first where values are equal. None of every 16 values is
 * larger than their entry of `maxima`: most of them need no look.
 */
export function topIds (values: Float32Array, maxima: Float32Array, count: number): Uint32Array {
  const n = Math.min(count, values.length)
  if (n === values.length || n > 1024) {
    const order = Uint32Array.from(values.keys())
    return order.sort((a, b) => values[b] - values[a] || a - b).slice(0, n)
  }
  // a heap with the worst of the best at its root
  const heap = new Uint32Array(n)
  const worse = (a: number, b: number) => values[a] < values[b] || (values[a] === values[b] && a > b)
  const sink = (i: number, size: number) => {
    const id = heap[i]
    for (;;) {
      let child = 2 * i + 1
      if (child >= size) break
      if (child + 1 < size && worse(heap[child + 1], heap[child])) child++
      if (!worse(heap[child], id)) break
      heap[i] = heap[child]
      i = child
    }
    heap[i] = id
  }
  for (let i = 0; i < n; i++) heap[i] = i
  for (let i = (n >> 1) - 1; i >= 0; i--) sink(i, n)
  let bound = values[heap[0]]
  for (let block = Math.floor(n / 16); block < maxima.length; block++) {
    // an equal value with a higher id is worse than what the heap has
    if (maxima[block] <= bound) continue
    const end = Math.min(values.length, (block + 1) * 16)
    for (let id = Math.max(n, block * 16); id < end; id++) {
      if (values[id] <= bound) continue
      heap[0] = id
      sink(0, n)
      bound = values[heap[0]]
    }
  }
  return heap.sort((a, b) => values[b] - values[a] || a - b)
}
