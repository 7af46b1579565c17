import { byteSize } from './byte-size.ts'
import { DEFAULT_TARGET_BITS } from './constants.ts'
import { UsageError } from './errors.ts'
import type { Model, UnitRange } from '../model/index.ts'
import type { BaseMode, CompressionPlan, MatrixMode } from '../svd/index.ts'

/** Options of `compress` that say what is wanted. */
export interface PlanFlags {
  targetBits?: number
  budget?: string[]
  mode?: string
  rank?: number
  share?: number
  plain?: boolean
  embedding?: BaseMode
}

const MODE = /^(q[8543])(\+svd)?$|^svd$/

/** What the options ask for. @throws UsageError where they contradict each other */
export function compressionPlan (flags: PlanFlags, model: Pick<Model, 'architecture' | 'unit'>): CompressionPlan {
  const { targetBits, budget, mode } = flags
  if ([targetBits, budget, mode].filter(value => value !== undefined).length > 1) {
    throw new UsageError('--target-bits, --budget and --mode: give one of them')
  }
  if (mode !== undefined) return fixedPlan(mode, flags)
  for (const option of ['rank', 'share', 'plain', 'embedding'] as const) {
    if (flags[option] !== undefined) throw new UsageError(`--${option}: only with --mode`, 'without it every matrix gets what the budget has best')
  }
  if (budget !== undefined) return budgetPlan(budget)
  return { kind: 'budget', bytes: Math.floor((targetBits ?? DEFAULT_TARGET_BITS) * parameters(model) / 8) }
}

function fixedPlan (mode: string, { rank, share, plain, embedding }: PlanFlags): CompressionPlan {
  if (!MODE.test(mode)) throw new UsageError(`--mode ${mode}: no such mode`, 'there are q8, q5, q4, q3, each of them with +svd, and svd')
  return { kind: 'fixed', mode: mode as MatrixMode, rank, parameterShare: share, whitened: plain === true ? false : undefined, embedding }
}

function budgetPlan (parts: string[]): CompressionPlan {
  const hint = 'a budget looks like 60MB, or like 0:16=30MB,16:32=35MB for ranges of units'
  const size = (text: string): number => {
    const bytes = byteSize(text)
    if (bytes === undefined || bytes === 0) throw new UsageError(`--budget ${text}: not a number of bytes`, hint)
    return bytes
  }
  if (parts.length === 1 && !parts[0].includes('=')) return { kind: 'budget', bytes: size(parts[0]) }
  return {
    kind: 'range-budgets',
    ranges: parts.map((part): UnitRange & { bytes: number } => {
      const match = /^(\d{1,6}):(\d{1,6})=(.+)$/.exec(part)
      if (match === null) throw new UsageError(`--budget ${part}: not a range of units with a size`, hint)
      return { from: Number(match[1]), to: Number(match[2]), bytes: size(match[3]) }
    })
  }
}

/** Weights of a model, tied ones once. */
function parameters ({ architecture, unit }: Pick<Model, 'architecture' | 'unit'>): number {
  let sum = 0
  for (let index = 0; index < architecture.layerCount + 2; index++) {
    for (const [role, { shape }] of Object.entries(unit(index).tensors)) {
      if (role !== 'projection' || !architecture.tiedEmbedding) sum += shape.reduce((a, b) => a * b, 1)
    }
  }
  return sum
}
