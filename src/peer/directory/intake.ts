import { LOWEST_DIALLED_PORT } from '../constants.ts'
import { PeerError } from '../errors.ts'
import type { Moment, RecordStore } from './record-store.ts'
import { decodeRecord, decodeSealed } from './record.ts'
import { verifyRecord } from './seal.ts'
import type { Clock, PeerRecord, Verdict } from './types.ts'

export interface IntakeInit {
  store: RecordStore
  self: string
  /** number of our own last announcement */
  ownSequence: () => number
  clock: Clock
  onAccepted: (record: PeerRecord) => void
  /** a record of our own that others still have, from before we started */
  onOwn: (record: PeerRecord) => void
  onVerdict: (verdict: Verdict, problem?: string) => void
}

/** Takes an announcement that came on the topic of a model, or was given for it; `age` as its giver states it. Never throws. */
export type Intake = (bytes: Uint8Array, modelId: string, age?: number) => Promise<Verdict>

/** A record can name anybody's address: as for stages (docs/protocol.md, Dialling), nobody is made to knock at services of an operating system. */
function mayBeDialled (address: string): boolean {
  return Number(/\/tcp\/(\d{1,5})/.exec(address)?.[1]) >= LOWEST_DIALLED_PORT
}

/** Everything that is cheap is checked before the signature, and the store alone decides about time. */
export function createIntake ({ store, self, ownSequence, clock, onAccepted, onOwn, onVerdict }: IntakeInit): Intake {
  const moment = (): Moment => ({ wall: clock.wall(), steady: clock.steady() })

  async function judge (bytes: Uint8Array, modelId: string, age: number): Promise<Verdict> {
    const sealed = decodeSealed(bytes)
    const told = decodeRecord(sealed.body)
    const record = { ...told, addresses: told.addresses.filter(mayBeDialled) }
    if (record.modelId !== modelId) return 'model'
    if (record.peerId === self && record.sequence <= ownSequence()) return 'stale'
    const before = store.check(record, moment(), age)
    if (before !== 'accepted') return before
    if (!await verifyRecord(sealed, record.peerId)) return 'forged'
    if (record.peerId === self) {
      onOwn(record)
      return 'stale'
    }
    // kept by itself: `bytes` may be a view of a larger message
    const verdict = store.accept(record, bytes.slice(), moment(), age)
    if (verdict === 'accepted') onAccepted(record)
    return verdict
  }

  return async (bytes, modelId, age = 0) => {
    let verdict: Verdict
    let problem: string | undefined
    try {
      verdict = await judge(bytes, modelId, age)
    } catch (error) {
      verdict = 'malformed'
      problem = error instanceof PeerError ? error.message : String(error)
    }
    onVerdict(verdict, problem)
    return verdict
  }
}
