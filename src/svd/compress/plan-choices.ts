import type { Model, TensorType } from '../../model/index.ts'
import { LAYER_MATRICES } from '../calibration/index.ts'
import { allocate, allocateRanges } from '../allocate.ts'
import type { MatrixCandidates } from '../types.ts'
import { CompressionOptionError } from './errors.ts'
import { matrixName, tensorsOf } from './model-matrices.ts'
import { BASE_TYPES, fixedMode, partsOf } from './modes.ts'
import type { BudgetPlan, CompressionPlan, FixedPlan, MatrixChoice, MatrixMode, RangeBudgetPlan } from './types.ts'

/** How a matrix is to be stored: `bases` leaves a choice by the weighted error. */
export interface ChosenMode {
  mode: MatrixMode
  bases: readonly TensorType[]
  rank: number
}

/** A mode for every matrix of a model by a fixed plan. */
export function fixedChoices (source: Model, plan: FixedPlan): Map<string, ChosenMode> {
  const choices = new Map<string, ChosenMode>()
  const set = (unit: number, role: Parameters<typeof matrixName>[1], mode: MatrixMode, rank: number) => {
    const { base } = partsOf(mode)
    choices.set(matrixName(unit, role), { mode, rank, bases: base === null ? [] : BASE_TYPES[base] })
  }
  for (let unit = 1; unit <= source.architecture.layerCount; unit++) {
    for (const matrix of LAYER_MATRICES) {
      const [rows, columns] = source.unit(unit).tensors[matrix]!.shape
      const { mode, rank } = fixedMode(plan, rows, columns)
      set(unit, matrix, mode, rank)
    }
  }
  for (const { unit, role } of tensorsOf(source).tables) set(unit, role, plan.embedding ?? 'q8', 0)
  return choices
}

/**
 * The allocator's choice among candidates, norms and biases taken off the
 * budget first; `cost` is what it costs by the survey, in nats.
 *
 * @throws BudgetTooSmallError; InvalidProblemError where a matrix can have none of the modes
 */
export function allocatedChoices (
  source: Model, plan: BudgetPlan | RangeBudgetPlan, surveyed: Array<MatrixCandidates<MatrixChoice>>
): { choices: Map<string, ChosenMode>, cost: number } {
  const { vectors } = tensorsOf(source)
  const { modes } = plan
  const candidates = modes === undefined
    ? surveyed
    : surveyed.map(({ name, candidates }) => ({ name, candidates: candidates.filter(({ mode }) => modes.includes(mode)) }))
  const unitOf = ({ name }: { name: string }) => Number(name.split(' ')[0])
  const vectorBytes = (from: number, to: number) => vectors
    .filter(({ unit }) => unit >= from && unit < to)
    .reduce((sum, { source }) => sum + source.byteLength, 0)
  const units = source.architecture.layerCount + 2
  const allocations = plan.kind === 'budget'
    ? [allocate(candidates, plan.bytes - vectorBytes(0, units))]
    : allocateRanges(plan.ranges.map(({ from, to, bytes }) => ({
      matrices: candidates.filter(matrix => unitOf(matrix) >= from && unitOf(matrix) < to),
      budgetBytes: bytes - vectorBytes(from, to)
    })))
  const choices = allocations.flatMap(({ choices }) => choices).map(({ name, candidate: { mode, rank, base } }): [string, ChosenMode] =>
    [name, { mode, rank, bases: base === null ? [] : [base] }])
  return { choices: new Map(choices), cost: allocations.reduce((sum, { error }) => sum + error, 0) }
}

/** @throws CompressionOptionError where the ranges of a plan are not all units, once each */
export function checkRanges (plan: CompressionPlan, units: number): void {
  if (plan.kind === 'fixed') return
  const ranges = plan.kind === 'budget' ? [{ from: 0, to: units, bytes: plan.bytes }] : [...plan.ranges].sort((a, b) => a.from - b.from)
  let next = 0
  for (const { from, to, bytes } of ranges) {
    if (!(bytes > 0) || !Number.isFinite(bytes)) throw new CompressionOptionError('budget', `${bytes} bytes are none`)
    if (from !== next || to <= from) throw new CompressionOptionError('budget', `the ranges are to cover units 0 to ${units - 1} once each; unit ${Math.min(from, next)} is not`)
    next = to
  }
  if (next !== units) throw new CompressionOptionError('budget', `the ranges are to cover units 0 to ${units - 1} once each; unit ${Math.min(next, units)} is not`)
}
