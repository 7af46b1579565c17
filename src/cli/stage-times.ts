import type { RouteSession } from '../peer/index.ts'
import type { StageTimesJson } from './json.ts'

type SteppingSession = Pick<RouteSession, 'architecture' | 'capacity' | 'length' | 'heldIds' | 'step' | 'truncate'>

/** Passes everything through and adds up where the time goes: the first step is the prompt, the others decode. */
export function meterSession (session: RouteSession): SteppingSession & { readonly stages: StageTimesJson[] } {
  const stages = session.route.map(({ stage }) => ({ stage, promptMilliseconds: 0, decodeMilliseconds: 0 }))
  let steps = 0
  return {
    stages,
    architecture: session.architecture,
    heldIds: session.heldIds,
    get capacity () { return session.capacity },
    get length () { return session.length },
    truncate: (length, options) => session.truncate(length, options),
    step: async (request, options) => {
      const rows = await session.step(request, options)
      const times = session.lastTimings?.computeMilliseconds ?? []
      const field = steps++ === 0 ? 'promptMilliseconds' : 'decodeMilliseconds'
      stages.forEach((stage, index) => { stage[field] += times[index] ?? 0 })
      return rows
    }
  }
}
