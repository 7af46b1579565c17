import type { Clock } from './types.ts'

export const systemClock: Clock = {
  wall: () => Date.now(),
  steady: () => performance.now(),
  after (milliseconds, action) {
    const timer = setTimeout(action, milliseconds)
    timer.unref()
    return () => clearTimeout(timer)
  }
}
