import { attendRows } from './attention.ts'
import type { Architecture } from '../../model/index.ts'
import type { Arena } from './arena.ts'
import type { UnitLayout } from './arena-layout.ts'
import type { Step } from './step.ts'

/**
 * One layer of docs/numerics.md, section 5, as one of `threads` threads. Reads
 * and writes the rows in `scratch.hidden`; all threads must have passed a
 * barrier before, and have to pass one after.
 */
export function runLayer (arena: Arena, a: Architecture, unit: UnitLayout, step: Step): void {
  attention(arena, a, unit, step)
  arena.barrier()
  feedForward(arena, a, unit, step)
}

function attention (arena: Arena, a: Architecture, unit: UnitLayout, step: Step): void {
  const { layout: { scratch } } = arena
  const { matrices, vectors } = unit
  const { rows } = step

  normAndQuantise(arena, a, vectors.attentionNorm!.offset, rows)

  const projections = [
    { matrix: matrices.query!, bias: vectors.queryBias, y: scratch.query },
    { matrix: matrices.key!, bias: vectors.keyBias, y: scratch.key },
    { matrix: matrices.value!, bias: vectors.valueBias, y: scratch.value }
  ]
  for (const { matrix, bias, y } of projections) {
    arena.forEachPiece(matrix.rows, 8, (from, to) => {
      arena.product(matrix, scratch.activations, y, from, to, rows)
      if (bias !== undefined) addBias(arena, y, bias.offset, matrix.rows, from, to, rows)
    })
  }
  arena.barrier()

  attendRows(arena, a, unit, step)
  arena.barrier()

  quantiseRows(arena, scratch.attention, a.headCount * a.headSize, rows)
  const matrix = matrices.attentionOutput!
  const bias = vectors.attentionOutputBias
  arena.forEachPiece(matrix.rows, 8, (from, to) => {
    arena.product(matrix, scratch.activations, scratch.temporary, from, to, rows)
    if (bias !== undefined) addBias(arena, scratch.temporary, bias.offset, matrix.rows, from, to, rows)
    addResidual(arena, a, from, to, rows)
  })
}

function feedForward (arena: Arena, a: Architecture, { matrices, vectors }: UnitLayout, { rows }: Step): void {
  const { kernels, layout: { scratch } } = arena
  normAndQuantise(arena, a, vectors.feedForwardNorm!.offset, rows)

  // gate, up, their product and its quantisation stay in one thread: pieces are whole blocks
  arena.forEachPiece(a.feedForwardSize, 32, (from, to) => {
    arena.product(matrices.gate!, scratch.activations, scratch.gate, from, to, rows)
    arena.product(matrices.up!, scratch.activations, scratch.up, from, to, rows)
    for (let row = 0; row < rows; row++) {
      const at = (row * matrices.gate!.paddedRows + from) * 4
      kernels.swiGlu(scratch.gate + at, scratch.up + at, to - from)
      arena.quantise(scratch.gate + at, scratch.feedForward, row, a.feedForwardSize, from, to - from)
    }
  })
  arena.barrier()

  arena.forEachPiece(matrices.down!.rows, 8, (from, to) => {
    arena.product(matrices.down!, scratch.feedForward, scratch.temporary, from, to, rows)
    addResidual(arena, a, from, to, rows)
  })
}

/** Norm and quantisation of `scratch.hidden` into `scratch.activations`, for all threads to read. */
function normAndQuantise (arena: Arena, a: Architecture, weight: number, rows: number): void {
  const { kernels, layout: { scratch } } = arena
  forEachRow(arena, rows, row => {
    const at = row * a.hiddenSize * 4
    kernels.rmsNorm(scratch.hidden + at, weight, scratch.temporary + at, a.hiddenSize, a.normEpsilon)
    arena.quantise(scratch.temporary + at, scratch.activations, row, a.hiddenSize)
  })
}

function quantiseRows (arena: Arena, x: number, columns: number, rows: number): void {
  forEachRow(arena, rows, row => {
    arena.quantise(x + row * columns * 4, arena.layout.scratch.activations, row, columns)
  })
}

/**
 * Rows shared among threads, then a barrier. One row each thread computes for
 * itself: that takes no longer than to wait for another, and all of them write
 * the same bytes, each before it reads them.
 */
function forEachRow (arena: Arena, rows: number, work: (row: number) => void): void {
  if (rows === 1) return work(0)
  for (let row = arena.thread; row < rows; row += arena.threads) work(row)
  arena.barrier()
}

function addBias (arena: Arena, y: number, bias: number, stride: number, from: number, to: number, rows: number): void {
  for (let row = 0; row < rows; row++) arena.kernels.addInto(y + (row * stride + from) * 4, bias + from * 4, to - from)
}

/** hidden += temporary on columns [from, to) */
function addResidual (arena: Arena, a: Architecture, from: number, to: number, rows: number): void {
  const { hidden, temporary } = arena.layout.scratch
  for (let row = 0; row < rows; row++) {
    const at = (row * a.hiddenSize + from) * 4
    arena.kernels.addInto(hidden + at, temporary + at, to - from)
  }
}
