import fc from 'fast-check'
import type { Machine, ModelCosts, UnitCost } from '../../src/partition/index.ts'

/** Costs of a model whose units all differ, in small whole numbers; a tied embedding in half of them. */
export function anyCosts ({ minLayers = 1, maxLayers = 5 } = {}): fc.Arbitrary<ModelCosts> {
  const unit = fc.record({ memoryBytes: fc.integer({ min: 1, max: 40 }), work: fc.integer({ min: 1, max: 40 }) })
  return fc.record({
    embed: unit,
    layers: fc.array(unit, { minLength: minLayers, maxLength: maxLayers }),
    head: unit,
    keyValueBytes: fc.nat(4),
    tied: fc.boolean()
  }).map(({ embed, layers, head, keyValueBytes, tied }) => {
    const cost = ({ memoryBytes, work }: { memoryBytes: number, work: number }, perPosition: number): UnitCost =>
      ({ memoryBytes, work, storedBytes: memoryBytes, keyValueBytes: perPosition })
    const shared = tied ? Math.min(embed.memoryBytes, head.memoryBytes) : 0
    return {
      units: [cost({ ...embed, work: 0 }, 0), ...layers.map(layer => cost(layer, keyValueBytes)), cost(head, 0)],
      tied: { memoryBytes: shared, storedBytes: shared },
      pagePositions: 1
    }
  })
}

/** Lists of machines from too small to ample, some of them alike. */
export function anyMachines ({ minLength = 1, maxLength = 4, maxMemory = 200 } = {}): fc.Arbitrary<Machine[]> {
  const kind = fc.record({ memoryBytes: fc.nat(maxMemory), speed: fc.integer({ min: 1, max: 9 }), hopSeconds: fc.option(fc.nat(5), { nil: undefined }) })
  return fc.tuple(fc.array(kind, { minLength: 1, maxLength }), fc.array(fc.nat(maxLength - 1), { minLength, maxLength }))
    .map(([kinds, picks]) => picks.map((pick, i) => ({ name: `m${i}`, ...kinds[pick % kinds.length] })))
}

/** The two objectives of a plan, found by trying all of them; undefined where none fits. */
export function bruteForce (costs: ModelCosts, machines: readonly Machine[], { positions, baseBytes, hopSeconds, fixed }: {
  positions: number, baseBytes: number, hopSeconds: number, fixed: boolean
}): { slowest: number, slowestLatency: number, latency: number } | undefined {
  const { units, tied } = costs
  let slowest = Infinity
  let slowestLatency = Infinity
  let latency = Infinity
  const visit = (from: number, left: readonly Machine[], worst: number, sum: number): void => {
    if (from === units.length) {
      const total = sum + hopSeconds
      latency = Math.min(latency, total)
      if (worst < slowest || (worst === slowest && total < slowestLatency)) slowestLatency = total
      slowest = Math.min(slowest, worst)
      return
    }
    left.forEach((machine, i) => {
      const others = fixed ? left.slice(i + 1) : left.filter(other => other !== machine)
      for (let to = from + 1; to <= units.length; to++) {
        const range = units.slice(from, to)
        const bytes = range.reduce((total, unit) => total + unit.memoryBytes + unit.keyValueBytes * positions, 0) - (range.length === units.length ? tied.memoryBytes : 0)
        if (bytes + baseBytes > machine.memoryBytes) continue
        const seconds = range.reduce((total, { work }) => total + work, 0) / machine.speed
        visit(to, others, Math.max(worst, seconds), sum + seconds + (machine.hopSeconds ?? hopSeconds))
      }
    })
  }
  visit(0, machines, 0, 0)
  return slowest === Infinity ? undefined : { slowest, slowestLatency, latency }
}
