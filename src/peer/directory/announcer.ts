import type { Logger, PrivateKey } from '@libp2p/interface'
import { ANNOUNCE_MILLISECONDS, ANNOUNCE_PAUSE_MILLISECONDS, CLOCK_SKEW_MILLISECONDS, LIFE_MILLISECONDS } from './constants.ts'
import { sealRecord } from './seal.ts'
import type { AnnouncedState, Clock, PeerRecord } from './types.ts'

export interface AnnouncerInit {
  self: string
  key: Pick<PrivateKey, 'sign'>
  clock: Clock
  /** what there is to announce now; undefined for nothing at all */
  state: () => OwnState | undefined
  addresses: () => string[]
  publish: (modelId: string, bytes: Uint8Array) => Promise<void>
  log: Logger
}

/** What a node announces of itself. */
export type OwnState = AnnouncedState & { modelId: string }

/** Says what this node hosts: regularly, at changes, and goodbye. */
export interface Announcer {
  /** number of the last announcement */
  readonly sequence: number
  /** the last announcement, for whoever asks; undefined before the first one */
  readonly last: { modelId: string, bytes: Uint8Array, age: number } | undefined
  start (): void
  /** something has changed that others should know now; not before the last announcement is so many milliseconds old */
  soon (pause?: number): void
  /** the announcement of what there is to say at this moment: a new one where the last one says something else. Throws where it cannot be signed */
  fresh (): Promise<{ modelId: string, bytes: Uint8Array } | undefined>
  /** looks whether what is hosted or claimed is still what was announced last */
  compare (): void
  /** numbers up to this one have been used, before we started */
  skip (sequence: number): void
  /** announces that it hosts nothing any more, and nothing after that */
  stop (): Promise<void>
}

/**
 * The next number. A clock that was set back does not make it fall, since others would take it for an old one; but
 * numbers of a clock that was far ahead for a moment are given up: nobody whose clock is right has taken them.
 */
function following (last: number, wall: number): number {
  return last - wall > LIFE_MILLISECONDS + 2 * CLOCK_SKEW_MILLISECONDS ? wall : Math.max(last + 1, wall)
}

export function createAnnouncer ({ self, key, clock, state, addresses, publish, log }: AnnouncerInit): Announcer {
  let sequence = -1
  let sealed = 0
  let last: { modelId: string, bytes: Uint8Array, at: number, essence: string, order: number } | undefined
  let next = (): void => {}
  let announcedAt = -Infinity
  let due = Infinity
  let stopped = true

  async function seal (now: OwnState): Promise<{ modelId: string, bytes: Uint8Array }> {
    const own = sequence = following(sequence, clock.wall())
    const order = ++sealed
    const at = announcedAt = clock.steady()
    const record: PeerRecord = { peerId: self, addresses: addresses(), ...now, sequence: own }
    const bytes = await sealRecord(record, key)
    // signatures that are made at once may be ready in any order
    if (last === undefined || order > last.order) last = { modelId: now.modelId, bytes, at, essence: essence(now), order }
    return { modelId: now.modelId, bytes }
  }

  async function announce (read: () => OwnState | undefined): Promise<void> {
    try {
      const now = read()
      if (now === undefined) return
      const { modelId, bytes } = await seal(now)
      await publish(modelId, bytes)
    } catch (error) {
      log.error('cannot announce: %e', error)
    }
  }

  /** at most one timer waits: for the next change, or the next regular announcement */
  function plan (milliseconds: number): void {
    const at = clock.steady() + milliseconds
    if (stopped || at >= due) return
    next()
    due = at
    next = clock.after(milliseconds, () => {
      due = Infinity
      announce(state)
      plan(ANNOUNCE_MILLISECONDS)
    })
  }

  return {
    get sequence () {
      return sequence
    },
    get last () {
      return last === undefined ? undefined : { modelId: last.modelId, bytes: last.bytes, age: Math.max(0, clock.steady() - last.at) }
    },
    start () {
      stopped = false
      plan(0)
    },
    soon (pause = ANNOUNCE_PAUSE_MILLISECONDS) {
      plan(Math.max(0, announcedAt + pause - clock.steady()))
    },
    async fresh () {
      // the goodbye is the last word
      if (stopped) return last
      const now = state()
      if (now === undefined || essence(now) === last?.essence) return now && last
      const { modelId, bytes } = await seal(now)
      publish(modelId, bytes).catch(error => log.error('cannot announce: %e', error))
      return last
    },
    compare () {
      const now = state()
      if (now !== undefined && essence(now) !== last?.essence) this.soon()
    },
    skip (used) {
      if (used <= sequence) return
      sequence = used
      // what we have said meanwhile was taken for older than what they have
      this.soon()
    },
    async stop () {
      if (stopped) return
      stopped = true
      next()
      const modelId = last?.modelId
      if (modelId !== undefined) await announce(() => ({ modelId, ranges: [], sessions: 0, queuedSteps: 0, freePositions: 0, speed: 0 }))
    }
  }
}

/** What others should know at once when it changes; load may wait for the next announcement. */
function essence ({ ranges, claim }: OwnState): string {
  return JSON.stringify([ranges.map(({ range: { from, to }, state }) => [from, to, state]), claim])
}
