/**
 * The machine behind a multiaddr, as far as can be told: an IPv4 address, or
 * the /64 network that a machine with IPv6 has to itself. Of a relayed
 * connection it is the relay.
 */
export function hostOf (address: string): string {
  const match = /^\/(ip4|ip6)\/([^/]+)/.exec(address)
  if (match === null) return address
  const [, family, text] = match
  // a socket that listens for both families tells IPv4 peers as mapped addresses
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)
  if (family === 'ip4' || mapped !== null) return mapped?.[1] ?? text
  const [head, tail] = text.split('::').map(part => part.split(':').filter(group => group !== ''))
  const zeros = tail === undefined ? [] : Array(Math.max(0, 8 - head.length - tail.length)).fill('0')
  return [...head, ...zeros, ...tail ?? []].slice(0, 4).map(group => parseInt(group, 16).toString(16)).join(':')
}
