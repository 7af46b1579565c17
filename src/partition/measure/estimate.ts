import { ESTIMATE_HALF_LIFE_SECONDS, ESTIMATE_MEMORY } from './constants.ts'

/** A mean in which what was observed last counts most. Plain data. */
export interface Estimate {
  value: number
  /** how many observations it stands for */
  weight: number
  /** when the last one was made */
  atSeconds: number
}

/** The estimate with one observation more; the first one is taken as it is. */
export function observe (estimate: Estimate | undefined, value: number, atSeconds: number): Estimate {
  if (estimate === undefined) return { value, weight: 1, atSeconds }
  const age = Math.max(0, atSeconds - estimate.atSeconds)
  const weight = Math.min(estimate.weight * 0.5 ** (age / ESTIMATE_HALF_LIFE_SECONDS), ESTIMATE_MEMORY - 1) + 1
  return { value: estimate.value + (value - estimate.value) / weight, weight, atSeconds: Math.max(atSeconds, estimate.atSeconds) }
}
