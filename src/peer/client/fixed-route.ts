import type { LiveRoute } from './live-route.ts'
import { grantOf } from './attempt.ts'
import type { LocalSegment } from './local-segment.ts'

/** A route of engines of this process alone: none of its stages can be lost. */
export function createFixedRoute (segments: readonly LocalSegment[]): LiveRoute {
  return {
    stages: segments.flatMap(segment => [...segment.stages]),
    segments,
    grant: grantOf(segments),
    found: Math.min(...segments.map(({ held }) => held)),
    broken: false,
    unready: false,
    async prepare () {},
    replace: () => false,
    onUnready () {},
    async close () {
      await Promise.all(segments.map(async segment => await segment.close()))
    }
  }
}
