import type { Logger } from '@libp2p/interface'
import type { Architecture } from '../../model/index.ts'
import { LEAST_MOVED_POSITIONS, TRANSFER_GRACE_MILLISECONDS, TRIAL_BYTES, TRIAL_PATIENCE_MILLISECONDS, TRIAL_ROWS } from '../constants.ts'
import type { HandOverMode, HandOverReport, StageDescription } from '../types.ts'
import { chooseMove } from './choose-move.ts'
import type { MoveRates } from './choose-move.ts'
import type { Heir } from './plan-heirs.ts'
import type { StageState } from './plan-repair.ts'
import { runReplays } from './run-replays.ts'
import type { RunReplaysInit } from './run-replays.ts'
import type { Taken, Transfers } from './transfers.ts'

export interface RunHandOverInit {
  mode: HandOverMode
  architecture: Architecture
  stages: readonly StageDescription[]
  /** what they have; kept up to date */
  states: StageState[]
  heirs: readonly Heir[]
  transfers: Transfers
  replays: RunReplaysInit
  /** for a transfer without a prediction, in milliseconds */
  patience: number
  log: Logger
}

/** What a hand-over has come to. */
export interface HandOverOutcome {
  replayedPositions: number
  report?: HandOverReport
}

/**
 * Brings the stages that take over to all positions of the session: the first
 * ones are replayed while the keys and values of the others come from the
 * stages that leave. A short trial of both tells how many. Whatever a transfer
 * fails of, its positions are replayed. Throws what `runReplays` throws.
 */
export async function runHandOver (init: RunHandOverInit): Promise<HandOverOutcome> {
  const { mode, architecture, stages, states, heirs, transfers, log } = init
  const { ids, chunkRows, onChunk } = init.replays
  const length = ids.length
  /** that all stages hold, once those that hold less are brought there */
  const base = Math.max(...heirs.map(({ stage }) => states[stage - 1].held))
  const widest = heirs.reduce((most, heir) => heir.bytesPerPosition > most.bytesPerPosition ? heir : most)
  const bytesPerPosition = widest.bytesPerPosition
  let replayedPositions = 0
  let transferredPositions = 0
  let slowest = 0
  let computed = 0
  const replays: RunReplaysInit = {
    ...init.replays,
    onChunk (rows, spans) {
      computed += rows
      slowest += Math.max(0, ...spans)
      onChunk(rows, spans)
    }
  }

  const replayTo = async (to: number): Promise<void> => { replayedPositions += await runReplays(replays, states, to) }

  /** Replays up to `split`, while the rest up to `to` is transferred. */
  async function move (split: number, to: number, patience: number): Promise<Taken[]> {
    if (split >= to) {
      await replayTo(to)
      return []
    }
    const over = new AbortController()
    const started = performance.now()
    const taking = transfers.take(heirs, split, to, { signal: over.signal })
    taking.catch(() => {})
    let timer: NodeJS.Timeout | undefined
    try {
      await replayTo(split)
      timer = setTimeout(() => over.abort(new Error('it took too long')), Math.max(TRANSFER_GRACE_MILLISECONDS, patience - (performance.now() - started)))
      const taken = await taking
      for (const { stage } of heirs) states[stage - 1].held = to
      for (const { peerId } of heirs) transfers.onHanded(peerId, to)
      transferredPositions += to - split
      onChunk(0, [])
      return taken
    } finally {
      clearTimeout(timer)
      over.abort(new Error('the move is over'))
    }
  }

  /** A quarter of what is to be done at most. */
  async function trial (): Promise<{ rates: MoveRates, end: number }> {
    const middle = base + Math.min(TRIAL_ROWS, chunkRows)
    const end = mode === 'replay' ? middle : middle + Math.ceil(Math.min(TRIAL_BYTES / bytesPerPosition, (length - middle) / 4))
    const taken = await move(middle, end, TRIAL_PATIENCE_MILLISECONDS)
    const bytesPerSecond = taken.length === 0 ? undefined : Math.min(...taken.map(({ bytesPerSecond }) => bytesPerSecond))
    const rates = { bytesPerSecond, positionsPerSecond: computed * 1000 / Math.max(slowest, 1e-3), measuredAt: (base + middle) / 2 }
    return { rates, end }
  }

  if (length - base < LEAST_MOVED_POSITIONS && (mode === 'measured' || mode === 'replay')) {
    await replayTo(length)
    return { replayedPositions }
  }
  const started = performance.now()
  let report: HandOverReport | undefined
  try {
    const { rates, end: from } = length - base >= LEAST_MOVED_POSITIONS ? await trial() : { rates: undefined, end: base }
    const chosen = chooseMove({ mode, architecture, range: stages[widest.stage - 1].range, keyValueBytesPerPosition: bytesPerPosition, from, to: length, chunkRows, rates })
    const { method, split, predictedSeconds, predictions } = chosen
    report = { method, positions: length - from, split, transferredPositions, predictedSeconds, predictions, bytesPerSecond: rates?.bytesPerSecond, positionsPerSecond: rates?.positionsPerSecond, measuredSeconds: 0 }
    log('%d positions from %d on: %s at %d, predicted %o', report.positions, from, method, split, predictions)
    const begun = performance.now()
    // a transfer is worth waiting for as long as a replay would have taken
    const patience = predictions === undefined ? init.patience : 1000 * Math.max(predictions.replay, 3 * predictedSeconds!)
    await move(from + split, length, patience)
    report.measuredSeconds = (performance.now() - begun) / 1000
    report.transferredPositions = transferredPositions
  } catch (error) {
    if ((error as Error).name !== 'TransferError') throw error
    const { message } = error as Error
    log('%s: replayed instead', message)
    await replayTo(length)
    report = { method: 'replay', positions: length - base, split: length - base, transferredPositions, measuredSeconds: (performance.now() - started) / 1000, problem: message }
  }
  return { replayedPositions, report }
}
