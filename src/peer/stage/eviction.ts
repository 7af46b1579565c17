/** A session that nobody would miss at once. */
export interface IdleSession {
  /** of `performance.now()` */
  lastActivity: number
  /** positions that it holds or was promised */
  positions: number
}

/** A session that takes up a place. */
export interface PlacedSession {
  client: string
  /** of `performance.now()` */
  lastActivity: number
}

/** An engine gives sessions whole pages: so many positions more than they hold. */
const PAGE_POSITIONS = 256

/**
 * The session to end where `lacking` positions are wanted: the one that is
 * idle longest. None where all together would not give that much, for nobody
 * shall lose a session in vain.
 */
export function chooseEviction<T extends IdleSession> (idle: readonly T[], lacking: number): T | undefined {
  const holding = idle.filter(({ positions }) => positions > 0)
  const most = holding.reduce((sum, { positions }) => sum + positions + PAGE_POSITIONS, 0)
  if (most < lacking) return undefined
  return holding.reduce((oldest: T | undefined, session) => oldest === undefined || session.lastActivity < oldest.lastActivity ? session : oldest, undefined)
}

/**
 * The session to end where all places are taken and another client wants one: of the idle ones, that of the client with
 * most sessions, and of hers the one that is idle longest. Who has fewer than the client that asks gives nothing up.
 */
export function choosePlace<T extends PlacedSession> (idle: readonly T[], asking: string, countOf: (client: string) => number): T | undefined {
  const least = countOf(asking)
  return idle
    .filter(({ client }) => client !== asking && countOf(client) >= Math.max(1, least))
    .reduce((chosen: T | undefined, session) => {
      if (chosen === undefined) return session
      const more = countOf(session.client) - countOf(chosen.client)
      return more > 0 || (more === 0 && session.lastActivity < chosen.lastActivity) ? session : chosen
    }, undefined)
}
