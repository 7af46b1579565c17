/** A connection, and what speaks for keeping it. */
export interface HeldConnection {
  host: string
  /** the other side has opened it */
  inbound: boolean
  /** it has a session here, or is a stage beside this one */
  inUse: boolean
  /** it hosts the same model, or fetches from here */
  known: boolean
  /** milliseconds of any clock */
  opened: number
}

/**
 * Which of the connections are closed where there are `excess` too many. Each
 * time the host with most connections gives one up: one that is of no use to
 * anybody before one of a neighbour, the oldest before younger ones, since a
 * client that has just come has not had time to open its session. Connections
 * with sessions and those that were opened from here stay.
 */
export function chooseClosed<Connection extends HeldConnection> (connections: readonly Connection[], excess: number): Connection[] {
  const hosts = new Map<string, { count: number, free: Connection[] }>()
  for (const connection of connections) {
    if (!connection.inbound) continue
    const entry = hosts.get(connection.host) ?? { count: 0, free: [] }
    hosts.set(connection.host, entry)
    entry.count++
    if (!connection.inUse) entry.free.push(connection)
  }
  for (const { free } of hosts.values()) free.sort((one, other) => Number(one.known) - Number(other.known) || one.opened - other.opened)
  const closed: Connection[] = []
  while (closed.length < excess) {
    const able = [...hosts.values()].filter(({ free }) => free.length > 0)
    if (able.length === 0) break
    const most = able.reduce((most, one) => one.count > most.count ? one : most)
    closed.push(most.free.shift()!)
    most.count--
  }
  return closed
}
