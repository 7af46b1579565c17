import type { Candidates } from './candidates.ts'
import { penalise, type TokenCounts } from './penalties.ts'
import type { SamplingSettings } from './options.ts'

/** Tokens by adjusted logit, as far as their order is certain. */
export interface Ranking {
  /** best first, equal logits by lowest id */
  ids: ArrayLike<number>
  /** adjusted logits of `ids` */
  logits: ArrayLike<number>
  /** so many of `ids` are the best of the whole vocabulary; the rest was seen, but unseen tokens may come before it */
  certain: number
  /** no unseen token, and none of those seen from `certain` on, has a higher adjusted logit; −∞ where the ranking is complete */
  bound: number
  /** for each unseen token that a penalty changes, an upper bound of its adjusted logit */
  unseenPenalised: number[]
}

/**
 * Applies penalties and sorts again. `counts` is empty where no penalty is
 * active. The adjusted logit of an unseen token is at most the worst seen
 * logit, or, where a penalty changes it, the penalised worst seen logit.
 */
export function rank (candidates: Candidates, counts: TokenCounts, settings: SamplingSettings): Ranking {
  const { ids, logits, vocabularySize } = candidates
  const seen = ids.length
  const complete = seen === vocabularySize
  if (counts.size === 0) {
    // unseen tokens with the worst seen logit have higher ids, so the order stands
    return { ids, logits, certain: seen, bound: complete ? -Infinity : logits[seen - 1], unseenPenalised: [] }
  }
  const order = merge(candidates, counts, settings)
  if (complete) return { ...order, certain: seen, bound: -Infinity, unseenPenalised: [] }

  const worst = logits[seen - 1]
  const listed = new Set<number>(Array.from(ids))
  const unseenPenalised: number[] = []
  let bound = worst
  // the least id that an unseen token at the bound may have
  let leastId = ids[seen - 1] + 1
  for (const [id, count] of counts) {
    if (listed.has(id)) continue
    const limit = penalise(worst, count, settings)
    unseenPenalised.push(limit)
    if (limit > bound) {
      bound = limit
      leastId = id
    } else if (limit === bound && id < leastId) leastId = id
  }
  let certain = 0
  while (certain < seen && (order.logits[certain] > bound ||
    (order.logits[certain] === bound && order.ids[certain] < leastId))) certain++
  return { ...order, certain, bound, unseenPenalised }
}

/** The candidates with adjusted logits, sorted: the few that change are sorted apart and merged. */
function merge ({ ids, logits }: Candidates, counts: TokenCounts, settings: SamplingSettings): { ids: Uint32Array, logits: Float64Array } {
  const changed: Array<{ id: number, logit: number }> = []
  const keptIds: number[] = []
  const keptLogits: number[] = []
  for (let i = 0; i < ids.length; i++) {
    const count = counts.get(ids[i])
    if (count === undefined) {
      keptIds.push(ids[i])
      keptLogits.push(logits[i])
    } else {
      changed.push({ id: ids[i], logit: penalise(logits[i], count, settings) })
    }
  }
  changed.sort((a, b) => b.logit - a.logit || a.id - b.id)
  const result = { ids: new Uint32Array(ids.length), logits: new Float64Array(ids.length) }
  let k = 0
  let c = 0
  for (let i = 0; i < ids.length; i++) {
    const takeChanged = c < changed.length && (k === keptIds.length || changed[c].logit > keptLogits[k] ||
      (changed[c].logit === keptLogits[k] && changed[c].id < keptIds[k]))
    result.ids[i] = takeChanged ? changed[c].id : keptIds[k]
    result.logits[i] = takeChanged ? changed[c++].logit : keptLogits[k++]
  }
  return result
}
