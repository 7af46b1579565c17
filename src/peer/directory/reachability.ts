import type { DialOutcome } from './codec.ts'
import { observedHost } from './dial-back.ts'

/** `unknown`: nobody could be asked. */
export type ReachabilityStatus = 'direct' | 'relayed' | 'unreachable' | 'unknown'

/** What one peer found when it dialled this node back. */
export interface DialBackReport {
  /** who was asked */
  peerId: string
  /** multiaddr from which this node seems to come, to that peer */
  observed: string
  ports: number[]
  /** for each port */
  outcomes: DialOutcome[]
}

export interface Reachability {
  status: ReachabilityStatus
  /** for people */
  reason: string
  reports: DialBackReport[]
}

/**
 * Whether others can connect to this node, from what peers found. A peer of
 * the same network says nothing about the rest of the world, so peers to which
 * the node comes from a public address decide where there are any.
 */
export function judgeReachability (reports: readonly DialBackReport[], ports: readonly number[], isPublic: (host: string) => boolean): Pick<Reachability, 'status' | 'reason'> {
  if (ports.length === 0) return { status: 'unreachable', reason: 'it listens at no TCP port of 1024 or above' }
  const tried = reports.filter(({ outcomes }) => outcomes.some(outcome => outcome !== 'notTried'))
  if (tried.length === 0) return { status: 'unknown', reason: reports.length === 0 ? 'no connected peer could be asked to dial back' : 'the peers asked did not dial back; they do so only every ten seconds, and not through relays' }
  const seenFromOutside = tried.filter(({ observed }) => isPublic(observedHost(observed) ?? ''))
  const deciding = seenFromOutside.length > 0 ? seenFromOutside : tried
  const [{ observed }] = deciding
  const host = hostText(observed)
  const where = `${host}, ${ports.length === 1 ? 'port' : 'ports'} ${ports.join(', ')}`
  const reached = deciding.find(({ outcomes }) => outcomes.includes('reached'))
  if (reached !== undefined) {
    const port = reached.ports[reached.outcomes.indexOf('reached')]
    return { status: 'direct', reason: `a peer reached it at ${hostText(reached.observed)}, port ${port}${seenFromOutside.length > 0 ? '' : ' (of the same network: from outside it may be otherwise)'}` }
  }
  if (deciding.some(({ outcomes }) => outcomes.includes('otherPeer'))) return { status: 'unreachable', reason: `another peer answers at ${where}: the router forwards the port to another machine` }
  return { status: 'unreachable', reason: `nobody could connect to ${where}: a router or firewall is in the way; forward the port, or join a swarm that has a peer with --relay` }
}

function hostText (observed: string): string {
  return observedHost(observed)?.split('/').at(-1) ?? observed
}
