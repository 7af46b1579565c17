import { MAXIMUM_REMEMBERED, MAXIMUM_REMEMBERED_FAILURES, REMEMBER_MILLISECONDS } from './constants.ts'

/** A peer that was a good neighbour once: a way back into the swarm when nobody else answers. */
export interface RememberedPeer {
  peerId: string
  /** multiaddrs */
  addresses: string[]
  modelId: string
  /** milliseconds since 1970 */
  seen: number
  /** attempts to reach it since then that failed */
  failures: number
}

// Pure functions over the list; the file is another's business.

/** Puts a peer in, or renews it. */
export function remember (peers: readonly RememberedPeer[], peer: Omit<RememberedPeer, 'failures'>): RememberedPeer[] {
  return prune([{ ...peer, failures: 0 }, ...peers.filter(({ peerId }) => peerId !== peer.peerId)], peer.seen)
}

/** Counts an attempt that failed. */
export function rememberFailure (peers: readonly RememberedPeer[], peerId: string, now: number): RememberedPeer[] {
  return prune(peers.map(peer => peer.peerId === peerId ? { ...peer, failures: peer.failures + 1 } : peer), now)
}

/** Leaves out what is too old or has failed too often, and the oldest beyond the bound. */
export function prune (peers: readonly RememberedPeer[], now: number): RememberedPeer[] {
  return peers
    .filter(({ seen, failures }) => now - seen < REMEMBER_MILLISECONDS && failures < MAXIMUM_REMEMBERED_FAILURES)
    .sort((one, other) => other.seen - one.seen)
    .slice(0, MAXIMUM_REMEMBERED)
}

export function formatRemembered (peers: readonly RememberedPeer[]): string {
  return `${JSON.stringify({ version: 1, peers }, null, 1)}\n`
}

/** Reads the list; what is not as it should be is left out, since the list is only a help. */
export function parseRemembered (text: string): RememberedPeer[] {
  let value
  try {
    value = JSON.parse(text) as { version?: unknown, peers?: unknown } | null
  } catch {
    return []
  }
  if (value?.version !== 1 || !Array.isArray(value.peers)) return []
  return value.peers.filter(isRemembered).slice(0, MAXIMUM_REMEMBERED)
}

function isRemembered (value: unknown): value is RememberedPeer {
  const { peerId, addresses, modelId, seen, failures } = (value ?? {}) as Partial<Record<keyof RememberedPeer, unknown>>
  return typeof peerId === 'string' && /^[0-9a-f]{64}$/.test(String(modelId)) && Number.isFinite(seen) && Number.isSafeInteger(failures) &&
    Array.isArray(addresses) && addresses.every(address => typeof address === 'string')
}
