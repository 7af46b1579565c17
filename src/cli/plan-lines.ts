import { bytes, milliseconds, plural, rate, table } from './format.ts'
import type { PlanJson } from './json.ts'

/** The table of a plan, and what it comes to. */
export function planLines (plan: PlanJson): string[] {
  const { stages, unused, tokensPerSecond, latencyMilliseconds, exact } = plan
  const rows = stages.map(stage => [
    stage.machine,
    stage.units,
    bytes(stage.weightBytes),
    bytes(stage.keyValueBytes),
    `${bytes(stage.memoryBytes)} of ${bytes(stage.machineMemoryBytes)}`,
    `${Math.round(stage.memoryShare * 100)} %`,
    milliseconds(stage.milliseconds) + (stage.slowest && stages.length > 1 ? '  slowest' : '')
  ])
  const hops = latencyMilliseconds - stages.reduce((sum, stage) => sum + stage.milliseconds, 0)
  const lines = [
    ...table([['machine', 'units', 'weights', 'KV cache', 'memory', '', 'a token'], ...rows], ''),
    '',
    `one text: ${rate(tokensPerSecond.one)} tokens/s, a token in ${milliseconds(latencyMilliseconds)}, ${milliseconds(hops)} of it in ${plural(stages.length + 1, 'hop')}`
  ]
  const texts = Math.ceil(tokensPerSecond.many / tokensPerSecond.one)
  if (texts > 1) lines.push(`${plural(texts, 'text')} at once or more: ${rate(tokensPerSecond.many)} tokens/s in all`)
  if (unused.length > 0) lines.push(`not needed: ${unused.join(', ')}`)
  if (!exact) {
    const achieved = plan.objective === 'latency' ? latencyMilliseconds : plan.slowestMilliseconds
    lines.push(`not all orders of so many machines were tried: another plan could be faster by ${((achieved / plan.lowerBoundMilliseconds - 1) * 100).toFixed(1)} % at most`)
  }
  return lines
}
