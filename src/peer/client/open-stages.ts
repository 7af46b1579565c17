import { CONNECT_MILLISECONDS, MAXIMUM_OPEN_MILLISECONDS, OPEN_REPLY_MILLISECONDS, PREFIX_STRIDE } from '../constants.ts'
import { StageFailedError, StageRefusedError } from '../errors.ts'
import type { StageError } from '../errors.ts'
import { decodeOpened, encodeOpen, Kind } from '../wire/index.ts'
import type { OpenedRecord } from '../wire/index.ts'
import type { RemoteStage } from './remote-stage.ts'
import { asStageError } from './stage-errors.ts'

export interface OpenStagesInit {
  /** consecutive ones, which have entered the epoch */
  stages: readonly RemoteStage[]
  /** PeerId of this node */
  self: string
  modelId: string
  /** of the whole route */
  stageCount: number
  /** 0: as much as the stages give, none of it promised */
  capacity: number
  /** for each stage the names of what it may take over */
  names: ReadonlyArray<readonly string[]>
  /** for each stage whether it is new to the session: it can hold no more than what was named to it */
  fresh: readonly boolean[]
  /** positions that each must have room for */
  wanted: number
  /** of `performance.now()`: who has not opened by then is lost */
  openBy: number
  signal: AbortSignal
}

/**
 * Opens the session on consecutive stages, or rebinds it where they have it,
 * and lets each connect to the next one (docs/protocol.md, Opening a route).
 * Waits for all of them; throws an AggregateError of what went wrong.
 */
export async function openStages ({ stages, self, modelId, stageCount, capacity, names, fresh, wanted, openBy, signal }: OpenStagesInit): Promise<OpenedRecord[]> {
  const last = stages.length - 1
  const within = (most: number): number => Math.max(1, Math.min(most, openBy - performance.now()))

  /** Waits for all, so that nothing happens behind the caller's back. */
  async function all<T> (work: (stage: RemoteStage, index: number) => Promise<T>, first = 0): Promise<T[]> {
    const outcomes = await Promise.allSettled(stages.slice(first).map(async (stage, index) => {
      try {
        return await work(stage, first + index)
      } catch (error) {
        throw asStageError(error as Error, stage.place)
      }
    }))
    const errors = outcomes.flatMap(outcome => outcome.status === 'rejected' ? [outcome.reason as StageError] : [])
    if (errors.length > 0) throw new AggregateError(errors, errors[0].message)
    return outcomes.map(outcome => (outcome as PromiseFulfilledResult<T>).value)
  }

  await all(async stage => {
    await stage.subscribe(AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(within(CONNECT_MILLISECONDS)))]))
  })
  const opened = await all(async (stage, index) => {
    const record = encodeOpen({
      modelId,
      range: stage.place.range,
      stage: stage.place.stage,
      stages: stageCount,
      capacity,
      upstream: index === 0 ? self : stages[index - 1].peerId,
      downstream: index === last ? self : stages[index + 1].peerId,
      prefix: [...names[index]]
    })
    const frame = await stage.request({ kind: Kind.open, record, deadline: Math.ceil(within(MAXIMUM_OPEN_MILLISECONDS)) }, Kind.opened, within(OPEN_REPLY_MILLISECONDS))
    const opened = decodeOpened(frame.record!)
    if (opened.capacity < wanted) throw new StageRefusedError(stage.place, `it has room for ${opened.capacity} positions, ${wanted} are needed`, { retryable: true })
    if (fresh[index] && opened.held > names[index].length * PREFIX_STRIDE) throw new StageFailedError(stage.place, `it says that it holds ${opened.held} positions, which is more than it was asked for`, { sessionLost: true })
    return opened
  })
  const confirmed = await all(async (stage, index) =>
    await stage.request({ kind: Kind.confirm, record: opened[index - 1].nonce }, Kind.confirmed, within(OPEN_REPLY_MILLISECONDS)), 1)
  await all(async (stage, index) => {
    if (index < last) await stage.request({ kind: Kind.connect, record: confirmed[index].record }, Kind.done, within(CONNECT_MILLISECONDS))
  })
  return opened
}
