import type { Architecture } from '../../model/index.ts'
import { DEFAULT_HELD_OUT_TOKENS, DEFAULT_TOKENS, DEFAULT_WINDOW, WINDOW_MULTIPLE } from './constants.ts'
import { CalibrationTextTooShortError } from './errors.ts'

export interface WindowOptions {
  /** tokens of calibration, rounded up to whole windows; default 16,384 */
  tokens?: number
  /** tokens held out to choose the shrinkage on, rounded up to whole windows; default 2,048 */
  heldOutTokens?: number
  /** positions of a window, each from an empty context; default 512, or the context length where that is less */
  window?: number
}

/** Token ids of calibration in windows of equal length, held-out windows last. */
export interface CalibrationWindows {
  window: number
  /** windows that are not held out */
  calibration: number
  ids: Uint32Array
}

/**
 * Windows spread evenly over a text; the held-out ones are from its end, so
 * that where a text is made of several, they come from others than the rest.
 * Pure.
 *
 * @throws CalibrationTextTooShortError
 */
export function cutWindows (ids: readonly number[], { contextLength }: Pick<Architecture, 'contextLength'>, options: WindowOptions = {}): CalibrationWindows {
  const longest = Math.min(options.window ?? DEFAULT_WINDOW, contextLength)
  const window = Math.floor(longest / WINDOW_MULTIPLE) * WINDOW_MULTIPLE
  if (window === 0) throw new RangeError(`a window of ${longest} positions; ${WINDOW_MULTIPLE} are the least`)
  const calibration = Math.ceil((options.tokens ?? DEFAULT_TOKENS) / window)
  const heldOut = Math.ceil((options.heldOutTokens ?? DEFAULT_HELD_OUT_TOKENS) / window)
  const wanted = calibration + heldOut
  const available = Math.floor(ids.length / window)
  if (calibration === 0 || available < wanted) throw new CalibrationTextTooShortError(ids.length, wanted * window)
  const result = new Uint32Array(wanted * window)
  for (let i = 0; i < wanted; i++) {
    const from = Math.floor(i * available / wanted) * window
    result.set(ids.slice(from, from + window), i * window)
  }
  return { window, calibration, ids: result }
}
