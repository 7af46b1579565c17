import { keyValueBytesPerPosition } from '../../engine/index.ts'
import type { Architecture } from '../../model/index.ts'
import { MAXIMUM_PIECE_BYTES, PIECE_BYTES } from '../constants.ts'
import type { StageDescription } from '../types.ts'
import type { StageState } from './plan-repair.ts'

/** A stage that is new to a session, and the one that holds what it lacks. */
export interface Heir {
  /** from 1 */
  stage: number
  peerId: string
  /** PeerId of the stage that leaves, and holds all positions */
  giver: string
  bytesPerPosition: number
}

export interface PlanHeirsInit {
  /** of the new route, and what they have */
  stages: readonly StageDescription[]
  states: readonly StageState[]
  /** of the route before, and still there */
  leaving: readonly StageDescription[]
  architecture: Architecture
  /** positions that all stages are to hold */
  length: number
}

/**
 * The stages to which keys and values can be moved: where all that lack
 * positions take over from a stage that leaves, all of its layers or some.
 * Otherwise none: a stage that is lost without a giver needs the outputs of
 * those before it, so that they have to compute anyway.
 */
export function planHeirs ({ stages, states, leaving, architecture, length }: PlanHeirsInit): Heir[] {
  const heirs: Heir[] = []
  for (const [index, { stage, range, peerId }] of stages.entries()) {
    if (states[index].held >= length) continue
    const giver = leaving.find(({ range: { from, to } }) => from <= range.from && range.to <= to)
    const bytesPerPosition = keyValueBytesPerPosition(architecture, range)
    if (peerId === undefined || giver?.peerId === undefined || bytesPerPosition === 0) return []
    // the giver reads all of its layers, and refuses to read many times what is wanted
    if (keyValueBytesPerPosition(architecture, giver.range) / bytesPerPosition > MAXIMUM_PIECE_BYTES / PIECE_BYTES) return []
    heirs.push({ stage, peerId, giver: giver.peerId, bytesPerPosition })
  }
  return heirs
}
