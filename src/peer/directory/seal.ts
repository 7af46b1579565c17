import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { encodeRecord, encodeSealed } from './record.ts'
import type { SealedRecord } from './record.ts'
import type { PeerRecord } from './types.ts'

/** Signs a record; gives the bytes of the announcement. */
export async function sealRecord (record: PeerRecord, key: Pick<PrivateKey, 'sign'>): Promise<Uint8Array> {
  const body = encodeRecord(record)
  return encodeSealed({ body, signature: await key.sign(body) })
}

/** Whether the peer that the record names has signed it, with the key that its PeerId contains. */
export async function verifyRecord ({ body, signature }: SealedRecord, peerId: string): Promise<boolean> {
  try {
    const id = peerIdFromString(peerId)
    // other spellings of an id would be other peers to us
    return id.toString() === peerId && id.publicKey !== undefined && await id.publicKey.verify(body, signature)
  } catch {
    return false
  }
}
