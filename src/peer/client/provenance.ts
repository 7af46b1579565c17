/** What a stage has of a session after it was opened or rebound. */
export interface Descent {
  /** positions that it holds, counted from the first */
  held: number
  /** of these, so many at the beginning had come through other stages than those before it, when it was last bound */
  mixed: number
  /** whether the stages before it were the same then, or it was not part of the session at all */
  unchanged: boolean
}

/**
 * How many first positions of each stage have come through other stages than
 * those now before it. Only a stage where none has may name its positions: a
 * name says what they have passed (docs/protocol.md, Prefixes), and what a
 * stage that was lost had done wrong must not be given to a route without it.
 */
export function mixedPositions (stages: readonly Descent[]): number[] {
  let most = 0
  return stages.map(({ held, mixed, unchanged }) => {
    most = Math.max(most, unchanged ? mixed : held)
    return most
  })
}
