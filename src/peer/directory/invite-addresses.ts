import { isPublicHost } from '../dial-rules.ts'
import { MAXIMUM_INVITE_ADDRESSES } from './constants.ts'
import { observedHost } from './dial-back.ts'

/** Addresses of one peer in an invite: its best ones. */
const ADDRESSES_PER_PEER = 2

/**
 * Addresses for an invite, of several peers, since some of them may be gone
 * when it is used: those that reach furthest first, and of each peer in turn.
 */
export function inviteAddresses (peers: ReadonlyArray<readonly string[]>): string[] {
  const best = peers.map(addresses => [...new Set(addresses)].sort((one, other) => rank(one) - rank(other)).slice(0, ADDRESSES_PER_PEER))
  // a loopback address helps nobody where any other is known
  const useful = best.some(addresses => addresses.some(address => rank(address) < LOOPBACK)) ? best.map(addresses => addresses.filter(address => rank(address) < LOOPBACK)) : best
  const turns = Array.from({ length: ADDRESSES_PER_PEER }, (_value, turn) => useful.flatMap(addresses => addresses.slice(turn, turn + 1)))
  return [...new Set(turns.flat())].slice(0, MAXIMUM_INVITE_ADDRESSES)
}

const LOOPBACK = 3

function rank (address: string): number {
  if (address.includes('/p2p-circuit')) return 2
  const host = observedHost(address)
  if (host === undefined || isPublicHost(host)) return 0
  return host.startsWith('/ip4/127.') || host === '/ip6/::1' ? LOOPBACK : 1
}
