import { fillRopeRow, frequencies } from '../rope-table.ts'
import { runHead } from './head.ts'
import { Layer } from './layer.ts'
import type { Architecture } from '../../model/index.ts'
import type { Arena } from './arena.ts'
import type { UnitLayout } from './arena-layout.ts'
import type { Step, StepResult } from './step.ts'

/** A thread's program for a step: its units, in all arenas that have some, in step with the other threads. */
export class Program {
  readonly #architecture: Architecture
  readonly #arenas: Arena[]
  readonly #frequencies: Float64Array
  /** by number of the unit */
  readonly #layers: Map<number, Layer>

  constructor (architecture: Architecture, arenas: Arena[]) {
    this.#architecture = architecture
    this.#arenas = arenas
    this.#frequencies = frequencies(architecture)
    this.#layers = new Map(arenas.flatMap(arena => arena.layout.units.filter(unit => unit.kind === 'layer').map(unit => [unit.unit, new Layer(arena, architecture, unit)])))
  }

  run (step: Step): StepResult {
    const begin = performance.now()
    const result: StepResult = { rows: [], notFinite: null, milliseconds: 0 }
    const { from, to } = step.range
    let before: Arena | undefined
    for (const arena of this.#arenas) {
      const { units } = arena.layout
      if (units[0].unit >= to || units[units.length - 1].unit < from) continue
      arena.beginStep()
      this.#fillAngles(arena, step)
      if (before !== undefined) this.#carryOver(before, arena, step)
      before = arena
      for (const unit of units) {
        if (unit.unit < from || unit.unit >= to) continue
        if (unit.kind === 'head') {
          result.rows.push(...runHead(arena, this.#architecture, unit, step, row => { note(result, row, unit.unit) }))
          continue
        }
        if (unit.kind === 'embed') this.#embed(arena, unit, step)
        else this.#layers.get(unit.unit)!.run(step)
        arena.barrier()
        this.#checkFinite(arena, unit, step, result)
      }
      // nobody may write the rows of the next arena or step while others still read these
      arena.barrier()
    }
    result.milliseconds = performance.now() - begin
    return result
  }

  /** cos and sin of the rows' positions; a barrier of the first layer lies between this and their first use. */
  #fillAngles ({ thread, threads, floats, layout: { scratch } }: Arena, { rows, positions }: Step): void {
    const pairs = this.#frequencies.length
    const cos = floats.subarray(scratch.cos / 4, scratch.cos / 4 + rows * pairs)
    const sin = floats.subarray(scratch.sin / 4, scratch.sin / 4 + rows * pairs)
    for (let row = thread; row < rows; row += threads) fillRopeRow(this.#frequencies, positions[row], cos, sin, row * pairs)
  }

  /** Only the residual crosses from one memory to the next. */
  #carryOver (from: Arena, to: Arena, { rows }: Step): void {
    const count = rows * this.#architecture.hiddenSize
    const source = from.layout.scratch.hidden / 4
    if (to.thread === 0) to.floats.set(from.floats.subarray(source, source + count), to.layout.scratch.hidden / 4)
    to.barrier()
  }

  #embed (arena: Arena, unit: UnitLayout, step: Step): void {
    const { scratch } = arena.layout
    for (let row = arena.thread; row < step.rows; row += arena.threads) {
      const id = arena.words[scratch.tokens / 4 + row]
      arena.dequantiseRow(unit.matrices.embedding!, id, scratch.hidden + row * this.#architecture.hiddenSize * 4)
    }
  }

  #checkFinite (arena: Arena, unit: UnitLayout, step: Step, result: StepResult): void {
    const { hiddenSize } = this.#architecture
    for (let row = arena.thread; row < step.rows; row += arena.threads) {
      const at = arena.layout.scratch.hidden + row * hiddenSize * 4
      if (arena.kernels.isFinite(at, hiddenSize) === 0) note(result, row, unit.unit)
    }
  }
}

/** Keeps the lowest row and, in it, the lowest unit. */
function note (result: StepResult, row: number, unit: number): void {
  const before = result.notFinite
  if (before === null || row < before.row || (row === before.row && unit < before.unit)) result.notFinite = { row, unit }
}
