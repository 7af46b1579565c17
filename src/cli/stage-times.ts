import type { RouteSession } from '../peer/index.ts'
import type { StageTimesJson } from './json.ts'

type SteppingSession = Pick<RouteSession, 'architecture' | 'capacity' | 'length' | 'heldIds' | 'step' | 'truncate'>

/** Passes everything through and adds up where the time goes: the first step is the prompt, the others decode. Stages are those of the route at the end. */
export function meterSession (session: RouteSession): SteppingSession & { readonly stages: StageTimesJson[] } {
  const times = new Map<string, { promptMilliseconds: number, decodeMilliseconds: number }>()
  let steps = 0
  const timesOf = ({ peerId = '', range }: RouteSession['route'][number]): { promptMilliseconds: number, decodeMilliseconds: number } => {
    const key = `${peerId} ${range.from}`
    const known = times.get(key) ?? { promptMilliseconds: 0, decodeMilliseconds: 0 }
    times.set(key, known)
    return known
  }
  return {
    get stages () { return session.route.map(stage => ({ stage: stage.stage, ...timesOf(stage) })) },
    architecture: session.architecture,
    heldIds: session.heldIds,
    get capacity () { return session.capacity },
    get length () { return session.length },
    truncate: (length, options) => session.truncate(length, options),
    step: async (request, options) => {
      const rows = await session.step(request, options)
      const milliseconds = session.lastTimings?.computeMilliseconds ?? []
      const field = steps++ === 0 ? 'promptMilliseconds' : 'decodeMilliseconds'
      session.route.forEach((stage, index) => { timesOf(stage)[field] += milliseconds[index] ?? 0 })
      return rows
    }
  }
}
