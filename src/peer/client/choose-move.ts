import type { Architecture, UnitRange } from '../../model/index.ts'
import { chooseHandOver, handOverSeconds } from '../../partition/index.ts'
import type { HandOverInit } from '../../partition/index.ts'
import type { HandOverMode, HandOverReport } from '../types.ts'

/** What the trial at the beginning of a move has shown. */
export interface MoveRates {
  /** of the link from the stage that leaves; undefined where nothing comes from there, so that only computing counts */
  bytesPerSecond?: number
  /** that the new stage computes, about position `measuredAt` */
  positionsPerSecond: number
  measuredAt: number
}

export interface ChooseMoveInit {
  mode: HandOverMode
  architecture: Architecture
  /** of the new stage that has most to take over */
  range: UnitRange
  keyValueBytesPerPosition: number
  /** positions that are left after the trial */
  from: number
  to: number
  chunkRows: number
  /** undefined where there was no trial */
  rates?: MoveRates
}

export type Move = Pick<HandOverReport, 'method' | 'split' | 'predictedSeconds' | 'predictions'>

/**
 * How the positions [from, to) get to a stage that takes the place of one that
 * leaves. The model of KVPR takes a computing rate that is the same for all
 * positions; but the further a position is, the more attention it costs, so the
 * rate is that of the middle of what would be replayed.
 */
export function chooseMove (init: ChooseMoveInit): Move {
  const { mode, from, to, rates, chunkRows } = init
  const positions = to - from
  const forced = { replay: positions, transfer: 0, split: Math.floor(positions / 2), measured: undefined }[mode]
  if (rates === undefined) return named(forced ?? positions, positions)
  const costs = (split: number): HandOverInit => handOverInit(init, rates, split)
  let split = chooseHandOver(costs(positions)).split
  // a shorter replay is a faster one for each of its positions, which allows a longer one: this converges at once
  for (let round = 0; round < 3; round++) split = chooseHandOver(costs(split)).split
  const seconds = (split: number): number => handOverSeconds(costs(split), split)
  // less than a chunk is not worth its way through the stages, which the model does not know
  const candidates = split < Math.min(chunkRows, positions) ? [0, positions] : [0, positions, split]
  const best = candidates.reduce((best, other) => seconds(other) < seconds(best) ? other : best)
  const predictions = rates.bytesPerSecond === undefined ? undefined : { replay: seconds(positions), transfer: seconds(0), split: seconds(split) }
  const chosen = forced ?? best
  return { ...named(chosen, positions), predictedSeconds: seconds(chosen), predictions }
}

function named (split: number, positions: number): Pick<Move, 'method' | 'split'> {
  return { method: split === positions ? 'replay' : split === 0 ? 'transfer' : 'split', split }
}

function handOverInit ({ architecture, range, keyValueBytesPerPosition, from, to, chunkRows }: ChooseMoveInit, { bytesPerSecond = NO_LIMIT, positionsPerSecond, measuredAt }: MoveRates, split: number): HandOverInit {
  return {
    positions: to - from,
    keyValueBytesPerPosition,
    hiddenBytesPerPosition: range.from === 0 ? TOKEN_BYTES : 4 * architecture.hiddenSize,
    bytesPerSecond,
    prefillPositionsPerSecond: positionsPerSecond * positionCost(architecture, measuredAt) / positionCost(architecture, from + split / 2),
    chunkPositions: chunkRows
  }
}

/** Bytes a second that no link has. */
const NO_LIMIT = 1e15

/** A stage that begins with the embedding is sent ids. */
const TOKEN_BYTES = 4

/** What a layer computes for a position, in products: with all weights, and with the keys and values of all positions before it. */
function positionCost ({ hiddenSize, feedForwardSize, headCount, keyValueHeadCount, headSize }: Architecture, position: number): number {
  const weights = 2 * hiddenSize * headSize * (headCount + keyValueHeadCount) + 3 * hiddenSize * feedForwardSize
  return weights + 2 * headCount * headSize * position
}
