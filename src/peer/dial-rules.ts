import { BlockList, isIPv4, isIPv6 } from 'node:net'
import { LOWEST_DIALLED_PORT, MAXIMUM_DIALLED_ADDRESSES } from './constants.ts'

/** How far an address reaches; a higher number is more private. */
const Reach = { public: 0, private: 1, linkLocal: 2, loopback: 3, never: 4 } as const

const never = new BlockList()
never.addSubnet('0.0.0.0', 8)
never.addSubnet('224.0.0.0', 4)
never.addSubnet('240.0.0.0', 4)
never.addAddress('::', 'ipv6')
never.addSubnet('ff00::', 8, 'ipv6')
// IPv4 in IPv6 clothes: NAT64, 6to4 (mapped addresses are told by their text: a rule for them would match all of IPv4)
never.addSubnet('64:ff9b::', 96, 'ipv6')
never.addSubnet('2002::', 16, 'ipv6')
const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')
const linkLocal = new BlockList()
linkLocal.addSubnet('169.254.0.0', 16)
linkLocal.addSubnet('fe80::', 10, 'ipv6')
const privateNetworks = new BlockList()
privateNetworks.addSubnet('10.0.0.0', 8)
privateNetworks.addSubnet('172.16.0.0', 12)
privateNetworks.addSubnet('192.168.0.0', 16)
privateNetworks.addSubnet('100.64.0.0', 10)
privateNetworks.addSubnet('198.18.0.0', 15)
privateNetworks.addSubnet('fc00::', 7, 'ipv6')

function reachOf (host: string): number {
  const family = isIPv4(host) ? 'ipv4' : 'ipv6'
  if (family === 'ipv6' && !isIPv6(host)) return Reach.never
  if (family === 'ipv6' && new URL(`http://[${host}]`).hostname.startsWith('[::ffff:')) return Reach.never
  if (never.check(host, family)) return Reach.never
  if (loopback.check(host, family)) return Reach.loopback
  if (linkLocal.check(host, family)) return Reach.linkLocal
  return privateNetworks.check(host, family) ? Reach.private : Reach.public
}

/** Only literal TCP addresses: no names to resolve, no relays, nothing behind it but the peer id. */
const LITERAL = /^\/(?:ip4\/(\d+\.\d+\.\d+\.\d+)|ip6\/([0-9a-fA-F:.]+))\/tcp\/(\d{1,5})(?:\/p2p\/([A-Za-z0-9]+))?$/

/**
 * Which of a downstream's signed addresses a stage may try on a client's
 * behalf (docs/protocol.md, Dialling). `clientAddress` is the multiaddr that
 * the client's own connection comes from: no address is more private than it.
 */
export function dialableAddresses (addresses: readonly string[], peerId: string, clientAddress: string): string[] {
  const client = LITERAL.exec(clientAddress)
  // a socket that listens for both families tells IPv4 clients as mapped addresses
  const origin = client === null ? Reach.never : reachOf((client[1] ?? client[2]).replace(/^::ffff:(?=\d+\.)/i, ''))
  const limit = origin === Reach.never ? Reach.public : origin
  const allowed: string[] = []
  for (const address of addresses) {
    const match = LITERAL.exec(address)
    if (match === null) continue
    const [, ip4, ip6, port, peer] = match
    if (peer !== undefined && peer !== peerId) continue
    if (Number(port) < LOWEST_DIALLED_PORT || Number(port) > 65535) continue
    const reach = reachOf(ip4 ?? ip6)
    if (reach === Reach.never || reach > limit) continue
    allowed.push(`/${ip4 === undefined ? `ip6/${ip6}` : `ip4/${ip4}`}/tcp/${port}/p2p/${peerId}`)
    if (allowed.length === MAXIMUM_DIALLED_ADDRESSES) break
  }
  return allowed
}

/** A connection that has come about costs so little: its other side has proved that it wanted it, and is there. */
const SHARE_OF_SUCCESS = 1 / 4

/**
 * Grants each client so many new connections a minute that come to nothing, and four times as many that come about: in
 * a swarm whose peers come and go, honest clients need new ones often, and those succeed.
 */
export interface DialBudget {
  /** undefined where the budget is used up; else to be called when the connection has come about */
  take (client: string, now: number): (() => void) | undefined
}

export function createDialBudget (perMinute: number): DialBudget {
  const used = new Map<string, { since: number, cost: number }>()
  return {
    take (client, now) {
      for (const [key, entry] of used) if (now - entry.since >= 60_000) used.delete(key)
      const entry = used.get(client) ?? { since: now, cost: 0 }
      if (entry.cost + 1 > perMinute) return undefined
      entry.cost++
      used.set(client, entry)
      return () => { entry.cost -= 1 - SHARE_OF_SUCCESS }
    }
  }
}

/** Whether `/ip4/…` or `/ip6/…` is an address of the internet at large. */
export function isPublicHost (host: string): boolean {
  const address = /^\/ip[46]\/([0-9a-fA-F:.]+)/.exec(host)?.[1]
  return address !== undefined && reachOf(address) === Reach.public
}
