import { BASE_MODES } from '../src/svd/index.ts'
import type { CompressionPlan, MatrixMode } from '../src/svd/index.ts'

/** A row of the tables of docs/compression.md. */
export interface Row {
  name: string
  /** null for the source itself */
  plan: CompressionPlan | null
}

const fixed = (name: string, plan: Omit<Extract<CompressionPlan, { kind: 'fixed' }>, 'kind'>): Row => ({ name, plan: { kind: 'fixed', ...plan } })

/** Rows by their names; `parameters` is the number of weights of the model. */
export function compressionRows (parameters: number): Row[] {
  const bits = (value: number, modes?: readonly MatrixMode[]): Row =>
    ({ name: `allocator ${value}${modes === undefined ? '' : ' without svd'}`, plan: { kind: 'budget', bytes: Math.floor(value * parameters / 8), modes } })
  return [
    { name: 'source', plan: null },
    fixed('q8', { mode: 'q8' }),
    fixed('q5', { mode: 'q5' }),
    fixed('q4', { mode: 'q4' }),
    ...[8, 16, 32].map(rank => fixed(`q4+svd ${rank}`, { mode: 'q4+svd', rank })),
    fixed('q4+plain svd 16', { mode: 'q4+svd', rank: 16, whitened: false }),
    fixed('q3', { mode: 'q3' }),
    ...[8, 16, 32].map(rank => fixed(`q3+svd ${rank}`, { mode: 'q3+svd', rank })),
    ...[4, 4.5, 4.8, 5.2, 5.7, 6.5].map(value => bits(value)),
    ...[4, 4.5, 4.8, 5.2].map(value => bits(value, BASE_MODES)),
    ...[0.9, 0.8, 0.6].map(share => fixed(`svd ${share}`, { mode: 'svd', parameterShare: share })),
    ...[0.9, 0.8, 0.6].map(share => fixed(`plain svd ${share}`, { mode: 'svd', parameterShare: share, whitened: false }))
  ]
}
