import { BoundedMap } from './bounded-map.ts'
import {
  ANNOUNCEMENTS_AT_ONCE, ANNOUNCEMENTS_PER_SECOND, CLOCK_SKEW_MILLISECONDS, LIFE_MILLISECONDS, MAXIMUM_RECORDS, MAXIMUM_SEQUENCES, SEQUENCE_MEMORY_MILLISECONDS
} from './constants.ts'
import { createSuspicions } from './suspicions.ts'
import { createTokenBucket } from './token-bucket.ts'
import type { TokenBucket } from './token-bucket.ts'
import type { PeerRecord, Verdict } from './types.ts'

/** A point in time on both clocks. */
export interface Moment {
  wall: number
  steady: number
}

export interface HeldRecord {
  record: PeerRecord
  /** the announcement as it came, with its signature */
  bytes: Uint8Array
  /** milliseconds since it was announced, as far as is known */
  age: number
}

export interface RecordStoreInit {
  maximumRecords?: number
  maximumSequences?: number
}

/** Records of other peers. It does no I/O, reads no clock, and believes that signatures have been checked. */
export interface RecordStore {
  /** records of peers that have not expired, whatever else is known of them */
  readonly size: number
  /** what `accept` would say, as far as that can be said without a signature: to be asked before one is checked */
  check (record: Pick<PeerRecord, 'peerId' | 'sequence'>, now: Moment, age?: number): Verdict
  /** `age`: milliseconds since the record was announced, where it came by way of others */
  accept (record: PeerRecord, bytes: Uint8Array, now: Moment, age?: number): Verdict
  /** what the peers of a model host that are alive and not suspected */
  live (modelId: string, now: Moment): HeldRecord[]
  /** the same, and who has said goodbye: for others who may not have heard it */
  known (modelId: string, now: Moment): HeldRecord[]
  suspect (peerId: string, now: Moment): void
  /** frees what has expired; true where a record has */
  sweep (now: Moment): boolean
}

interface Entry {
  record: PeerRecord
  bytes: Uint8Array
  /** on the steady clock */
  announced: number
  until: number
}

interface Seen {
  sequence: number
  at: number
  bucket: TokenBucket
}

export function createRecordStore (init: RecordStoreInit = {}): RecordStore {
  const maximumRecords = init.maximumRecords ?? MAXIMUM_RECORDS
  const entries = new Map<string, Entry>()
  const seen = new BoundedMap<string, Seen>(init.maximumSequences ?? MAXIMUM_SEQUENCES)
  const suspicions = createSuspicions()

  function sweep (now: Moment): boolean {
    let expired = false
    for (const [peerId, { until }] of entries) if (until <= now.steady) expired = entries.delete(peerId)
    for (const [peerId, { at }] of seen) {
      if (now.steady - at < SEQUENCE_MEMORY_MILLISECONDS) break
      seen.delete(peerId)
    }
    return expired
  }

  function check ({ peerId, sequence }: Pick<PeerRecord, 'peerId' | 'sequence'>, now: Moment, age = 0): Verdict {
    if (!(age >= 0 && age < LIFE_MILLISECONDS)) return 'stale'
    if (Math.abs(now.wall - sequence) > LIFE_MILLISECONDS + CLOCK_SKEW_MILLISECONDS) return 'clock'
    const last = seen.get(peerId)?.sequence ?? -1
    // a number beyond that was taken while our own clock was ahead: it says nothing now
    if (sequence <= last && last - now.wall <= LIFE_MILLISECONDS + CLOCK_SKEW_MILLISECONDS) return 'stale'
    if (entries.size >= maximumRecords && !entries.has(peerId)) {
      sweep(now)
      // who is here and announces itself stays: newcomers cannot drive it away by their number
      if (entries.size >= maximumRecords) return 'full'
    }
    return 'accepted'
  }

  function held (modelId: string, now: Moment, wanted: (record: PeerRecord) => boolean): HeldRecord[] {
    return [...entries.values()]
      .filter(({ record, until }) => record.modelId === modelId && until > now.steady && wanted(record) && !suspicions.covers(record.peerId, record.sequence, now.steady))
      .map(({ record, bytes, announced }) => ({ record, bytes, age: Math.max(0, now.steady - announced) }))
  }

  return {
    get size () {
      return entries.size
    },
    check,
    accept (record, bytes, now, age = 0) {
      const verdict = check(record, now, age)
      if (verdict !== 'accepted') return verdict
      const bucket = seen.get(record.peerId)?.bucket ?? createTokenBucket(ANNOUNCEMENTS_AT_ONCE, ANNOUNCEMENTS_PER_SECOND)
      if (!bucket.take(now.steady)) return 'often'
      seen.set(record.peerId, { sequence: record.sequence, at: now.steady, bucket })
      // whoever passed it on may have lied about its age: by the clocks it is at most so old
      const byClock = record.sequence + LIFE_MILLISECONDS + CLOCK_SKEW_MILLISECONDS - now.wall
      entries.set(record.peerId, { record, bytes, announced: now.steady - age, until: now.steady + Math.min(LIFE_MILLISECONDS - age, byClock) })
      return 'accepted'
    },
    live: (modelId, now) => held(modelId, now, ({ ranges, claim }) => ranges.length > 0 || claim !== undefined),
    known: (modelId, now) => held(modelId, now, () => true),
    suspect (peerId, now) {
      suspicions.add(peerId, seen.get(peerId)?.sequence ?? -1, now.steady)
    },
    sweep
  }
}
