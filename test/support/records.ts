import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { sealRecord } from '../../src/peer/directory/seal.ts'
import type { Clock, PeerRecord } from '../../src/peer/directory/types.ts'

export const MODEL = 'ab'.repeat(32)
export const OTHER_MODEL = 'cd'.repeat(32)

export interface Identity {
  key: Ed25519PrivateKey
  peerId: string
}

/** The n-th identity of the tests; the same each time. */
export async function identity (number: number): Promise<Identity> {
  const seed = new Uint8Array(32)
  new DataView(seed.buffer).setUint32(0, number)
  const key = await generateKeyPairFromSeed('Ed25519', seed)
  return { key, peerId: peerIdFromPrivateKey(key).toString() }
}

export function recordOf (peerId: string, changes: Partial<PeerRecord> = {}): PeerRecord {
  return {
    peerId,
    addresses: [`/ip4/192.168.1.7/tcp/4001/p2p/${peerId}`],
    modelId: MODEL,
    ranges: [{ range: { from: 0, to: 4 }, state: 'serving' }],
    sessions: 1,
    queuedSteps: 2,
    freePositions: 3000,
    speed: 1.5e9,
    sequence: 1_700_000_000_000,
    ...changes
  }
}

export async function announcement (number: number, changes: Partial<PeerRecord> = {}): Promise<{ record: PeerRecord, bytes: Uint8Array }> {
  const { key, peerId } = await identity(number)
  const record = recordOf(peerId, changes)
  return { record, bytes: await sealRecord(record, key) }
}

export interface FakeClock extends Clock {
  /** lets time pass, and what was to happen meanwhile happen in its order */
  pass (milliseconds: number): void
  /** sets the wall clock alone */
  setWall (milliseconds: number): void
}

export function fakeClock (wall = 1_700_000_000_000): FakeClock {
  let steady = 1000
  let timers: Array<{ at: number, action: () => void }> = []
  return {
    wall: () => wall,
    steady: () => steady,
    after (milliseconds, action) {
      const timer = { at: steady + milliseconds, action }
      timers.push(timer)
      return () => { timers = timers.filter(other => other !== timer) }
    },
    pass (milliseconds) {
      const end = steady + milliseconds
      for (;;) {
        const next = timers.filter(({ at }) => at <= end).sort((one, other) => one.at - other.at)[0]
        const to = next?.at ?? end
        wall += to - steady
        steady = to
        if (next === undefined) return
        timers = timers.filter(other => other !== next)
        next.action()
      }
    },
    setWall (milliseconds) {
      wall = milliseconds
    }
  }
}
