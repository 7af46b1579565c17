import type { PeerRecord } from '../../../src/peer/directory/types.ts'
import { sealRecord } from '../../../src/peer/directory/seal.ts'
import { createMutator } from '../mutations.ts'
import { integerGenerator, randomBytes } from '../random-bytes.ts'
import { announcement, identity, recordOf } from '../records.ts'
import type { Target } from './hostile-inputs.ts'

/** Ids of the identities of the tests, far from those that other tests use. */
const FIRST_IDENTITY = 7000

/**
 * An endless row of announcements that are forged, stale, replayed, too often,
 * of another model, far from the clock, broken, or true with absurd claims.
 */
export async function hostileAnnouncements ({ peerId, modelId, units }: Target, seed: number): Promise<() => Promise<Uint8Array>> {
  const below = integerGenerator(seed)
  const started = Date.now()
  const forger = await identity(FIRST_IDENTITY)
  // nobody listens there, and nobody else is knocked at
  const changes = (more: Partial<PeerRecord> = {}): Partial<PeerRecord> => ({
    modelId, addresses: ['/ip4/127.0.0.1/tcp/1'], ranges: [{ range: { from: 0, to: units }, state: 'serving' }], speed: 1e300, freePositions: 0xffffffff, sequence: started, ...more
  })
  const own = (more?: Partial<PeerRecord>) => announcement(FIRST_IDENTITY + 1 + below(20), changes(more))
  const past: Uint8Array[] = []
  const originals = await Promise.all(Array.from({ length: 20 }, async () => (await own({ sequence: started + below(1000) })).bytes))
  const mutators = originals.map((bytes, index) => createMutator(bytes, bytes.length, seed + index))
  let turn = 0

  return async () => {
    turn++
    switch (below(8)) {
      // in the name of the peer itself, or of somebody else
      case 0: return await sealRecord(recordOf(peerId, changes({ ranges: [], sequence: started + 20_000 + turn })), forger.key)
      case 1: return await sealRecord(recordOf((await identity(FIRST_IDENTITY + 100 + below(50))).peerId, changes({ sequence: started + turn })), forger.key)
      case 2: return (await own({ sequence: started + turn * (below(2) === 0 ? 1 : -1) })).bytes
      case 3: return (await own({ sequence: started + (below(2) === 0 ? 1 : -1) * (60_000 + turn) })).bytes
      case 4: return (await own({ modelId: 'ef'.repeat(32), sequence: started + turn })).bytes
      // one peer, again and again
      case 5: {
        const { bytes } = await announcement(FIRST_IDENTITY + 1, changes({ sequence: started + turn }))
        past.push(bytes)
        return bytes
      }
      case 6: {
        const old = past.at(below(Math.max(1, past.length)))
        if (old === undefined) return originals[0]
        // the same record in other bytes is not the same record
        return below(2) === 0 ? old : Buffer.concat([old.subarray(0, old.length - 1), randomBytes(1, turn)])
      }
      default: return mutators[below(mutators.length)]()
    }
  }
}
