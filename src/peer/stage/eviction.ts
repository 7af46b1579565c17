/** A session that nobody would miss at once. */
export interface IdleSession {
  /** of `performance.now()` */
  lastActivity: number
  /** positions that it holds or was promised */
  positions: number
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
