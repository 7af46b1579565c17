/** A stage of a route after a repair, seen from the one before it. */
export interface Descent {
  /** positions that it has kept from before the repair; 0 for a stage that is new on the route */
  held: number
  /** of these, the first so many had not come through exactly the stages then before it */
  mixed: number
  /** it was on the route before */
  survivor: boolean
}

/**
 * How many first positions of each stage have come through other stages than
 * those now before it. Only a stage where none has may name its positions: a
 * name says what they have passed (docs/protocol.md, Prefixes), and what a
 * stage that was lost had done wrong must not be given to a route without it.
 */
export function mixedPositions (stages: readonly Descent[]): number[] {
  let replaced = false
  let before = 0
  return stages.map(({ held, mixed, survivor }) => {
    if (survivor) before = Math.max(before, replaced ? held : mixed)
    else replaced = true
    return before
  })
}
