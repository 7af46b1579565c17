import { peerIdFromString } from '@libp2p/peer-id'
import { InvalidPeerIdError } from './errors.ts'

/** Reads PeerIds, one a line or with commas between; `#` begins a remark. Throws InvalidPeerIdError. */
export function parseAllowList (text: string): string[] {
  const ids = text.split('\n').flatMap(line => line.replace(/#.*/, '').split(/[\s,]+/)).filter(id => id !== '')
  return [...new Set(ids.map(canonicalPeerId))]
}

/** The one spelling of a PeerId that the software compares. Throws InvalidPeerIdError. */
export function canonicalPeerId (text: string): string {
  try {
    return peerIdFromString(text).toString()
  } catch {
    throw new InvalidPeerIdError(text)
  }
}
