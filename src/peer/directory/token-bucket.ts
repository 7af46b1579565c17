/** Grants a burst, and then a rate. Times are milliseconds of one clock. */
export interface TokenBucket {
  take (now: number): boolean
}

export function createTokenBucket (atOnce: number, perSecond: number): TokenBucket {
  let tokens = atOnce
  let last = -Infinity
  return {
    take (now) {
      if (last > -Infinity) tokens = Math.min(atOnce, tokens + Math.max(0, now - last) * perSecond / 1000)
      last = Math.max(last, now)
      if (tokens < 1) return false
      tokens--
      return true
    }
  }
}
