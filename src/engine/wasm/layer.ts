import { Attention } from './attention.ts'
import { ACTIVATION_BLOCK, ROW_GRAIN } from './constants.ts'
import { innerProduct } from './inner-product.ts'
import type { Architecture } from '../../model/index.ts'
import type { Arena } from './arena.ts'
import type { ActivationLayout, UnitLayout } from './arena-layout.ts'
import type { MatrixLayout } from './matrix-layout.ts'
import type { Step } from './step.ts'

/**
 * One layer of docs/numerics.md, section 5, as one of `threads` threads. It is
 * made once and holds what its steps need: a step allocates nothing.
 */
export class Layer {
  readonly #arena: Arena
  readonly #architecture: Architecture
  readonly #unit: UnitLayout
  readonly #attention: Attention
  readonly #projections: Array<{ matrix: MatrixLayout, work: (from: number, to: number) => void }>
  /** rows of the step under way */
  #rows = 0
  /** and their inputs to products, floats and quantised */
  #normed: number
  #x: ActivationLayout

  constructor (arena: Arena, architecture: Architecture, unit: UnitLayout) {
    this.#arena = arena
    this.#architecture = architecture
    this.#unit = unit
    this.#attention = new Attention(arena, architecture, unit)
    const { layout: { scratch } } = arena
    const { matrices, vectors } = unit
    this.#normed = scratch.temporary
    this.#x = scratch.activations
    this.#projections = [
      { matrix: matrices.query!, bias: vectors.queryBias, y: scratch.query },
      { matrix: matrices.key!, bias: vectors.keyBias, y: scratch.key },
      { matrix: matrices.value!, bias: vectors.valueBias, y: scratch.value }
    ].map(({ matrix, bias, y }) => ({
      matrix,
      work: (from, to) => {
        arena.product(matrix, this.#x, y, from, to, this.#rows)
        if (bias !== undefined) this.#addBias(y, bias.offset, matrix.rows, from, to)
      }
    }))
  }

  /**
   * Reads and writes the rows in `scratch.hidden`; all threads must have passed
   * a barrier before, and have to pass one after.
   */
  run (step: Step): void {
    const { matrices, factors } = this.#unit
    const arena = this.#arena
    const { layout: { scratch }, thread } = arena
    const own = scratch.own[thread]
    this.#rows = step.rows
    this.#normed = step.rows === 1 ? own.normed : scratch.temporary
    this.#x = step.rows === 1 ? own.activations : scratch.activations
    this.#forEachRow(this.#attentionNorm)
    innerProduct(arena, factors.query, this.#x, step.rows)
    for (const { matrix, work } of this.#projections) arena.forEachPiece(matrix.rows, ROW_GRAIN, work)
    arena.barrier()
    this.#attention.run(step)
    arena.barrier()
    this.#forEachRow(this.#quantiseAttention)
    innerProduct(arena, factors.attentionOutput, this.#x, step.rows)
    arena.forEachPiece(matrices.attentionOutput!.rows, ROW_GRAIN, this.#attentionOutput)
    arena.barrier()
    this.#forEachRow(this.#feedForwardNorm)
    innerProduct(arena, factors.gate, this.#x, step.rows)
    arena.forEachPiece(this.#architecture.feedForwardSize, ACTIVATION_BLOCK, this.#gateAndUp)
    arena.barrier()
    innerProduct(arena, factors.down, scratch.feedForward, step.rows)
    arena.forEachPiece(matrices.down!.rows, ROW_GRAIN, this.#down)
  }

  // what threads do with a row, or with rows [from, to) of a matrix

  readonly #attentionNorm = (row: number): void => this.#normAndQuantise(row, this.#unit.vectors.attentionNorm!.offset)

  readonly #feedForwardNorm = (row: number): void => this.#normAndQuantise(row, this.#unit.vectors.feedForwardNorm!.offset)

  readonly #quantiseAttention = (row: number): void => {
    const { scratch } = this.#arena.layout
    const columns = this.#architecture.headCount * this.#architecture.headSize
    this.#arena.quantise(scratch.attention + row * columns * 4, this.#x, row, columns)
  }

  readonly #attentionOutput = (from: number, to: number): void => {
    const { scratch } = this.#arena.layout
    const matrix = this.#unit.matrices.attentionOutput!
    const bias = this.#unit.vectors.attentionOutputBias
    this.#arena.product(matrix, this.#x, scratch.temporary, from, to, this.#rows)
    if (bias !== undefined) this.#addBias(scratch.temporary, bias.offset, matrix.rows, from, to)
    this.#addResidual(from, to)
  }

  /** Gate, up, their product and its quantisation stay in one thread: pieces are whole blocks. */
  readonly #gateAndUp = (from: number, to: number): void => {
    const arena = this.#arena
    const { scratch } = arena.layout
    const { gate, up } = this.#unit.matrices
    arena.product(gate!, this.#x, scratch.gate, from, to, this.#rows)
    arena.product(up!, this.#x, scratch.up, from, to, this.#rows)
    for (let row = 0; row < this.#rows; row++) {
      const at = (row * gate!.paddedRows + from) * 4
      arena.kernels.swiGlu(scratch.gate + at, scratch.up + at, to - from)
      arena.quantise(scratch.gate + at, scratch.feedForward, row, this.#architecture.feedForwardSize, from, to - from)
    }
  }

  readonly #down = (from: number, to: number): void => {
    const { scratch } = this.#arena.layout
    this.#arena.product(this.#unit.matrices.down!, scratch.feedForward, scratch.temporary, from, to, this.#rows)
    this.#addResidual(from, to)
  }

  /** Norm and quantisation of `scratch.hidden`. */
  #normAndQuantise (row: number, weight: number): void {
    const { kernels, layout: { scratch } } = this.#arena
    const { hiddenSize, normEpsilon } = this.#architecture
    const at = row * hiddenSize * 4
    kernels.rmsNorm(scratch.hidden + at, weight, this.#normed + at, hiddenSize, normEpsilon)
    this.#arena.quantise(this.#normed + at, this.#x, row, hiddenSize)
  }

  /**
   * Rows shared among threads, then a barrier. One row each thread computes for
   * itself, in memory of its own: that takes no longer than to wait for another.
   */
  #forEachRow (work: (row: number) => void): void {
    if (this.#rows === 1) return work(0)
    for (let row = this.#arena.thread; row < this.#rows; row += this.#arena.threads) work(row)
    this.#arena.barrier()
  }

  #addBias (y: number, bias: number, stride: number, from: number, to: number): void {
    for (let row = 0; row < this.#rows; row++) this.#arena.kernels.addInto(y + (row * stride + from) * 4, bias + from * 4, to - from)
  }

  /** hidden += temporary on columns [from, to) */
  #addResidual (from: number, to: number): void {
    const { hidden, temporary } = this.#arena.layout.scratch
    for (let row = 0; row < this.#rows; row++) {
      const at = (row * this.#architecture.hiddenSize + from) * 4
      this.#arena.kernels.addInto(hidden + at, temporary + at, to - from)
    }
  }
}
