/** Adds up the milliseconds between `start` and `stop`. */
export interface Stopwatch {
  readonly milliseconds: number
  start (): void
  stop (): void
}

/** A stopwatch that stands still. */
export function createStopwatch (now: () => number = () => performance.now()): Stopwatch {
  let total = 0
  let since: number | undefined
  return {
    get milliseconds () { return total + (since === undefined ? 0 : now() - since) },
    start () { since ??= now() },
    stop () {
      if (since !== undefined) total += now() - since
      since = undefined
    }
  }
}
