/** Grants bytes at a rate; pure but for what it remembers. Times are milliseconds of one clock. */
export interface RateLimit {
  /** takes bytes, and says how long to wait before they may be sent */
  take (bytes: number, now: number): number
}

/**
 * A bucket that holds one second's worth. It may go into debt for one message,
 * and the next one waits until it is paid: a message larger than the bucket
 * goes through too, and the average holds.
 */
export function createRateLimit (bytesPerSecond: number): RateLimit {
  let level = bytesPerSecond
  let last = -Infinity
  return {
    take (bytes, now) {
      if (last > -Infinity) level = Math.min(bytesPerSecond, level + Math.max(0, now - last) * bytesPerSecond / 1000)
      last = Math.max(last, now)
      const wait = level >= 0 ? 0 : -level * 1000 / bytesPerSecond
      level -= bytes
      return wait
    }
  }
}
