import { totalWork } from '../model-costs.ts'
import type { ModelCosts } from '../types.ts'
import { LEAST_WORK_SHARE } from './constants.ts'

/**
 * Work of each unit as routes count it. A unit that reads next to nothing (an
 * embedding, one row) counts for a little all the same: whoever runs it has a
 * row to receive, to handle and to send on.
 */
export function routeWork (costs: ModelCosts): number[] {
  const least = LEAST_WORK_SHARE * totalWork(costs) / costs.units.length
  return costs.units.map(({ work }) => Math.max(work, least))
}
