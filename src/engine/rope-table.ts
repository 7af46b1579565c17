import type { Architecture } from '../model/index.ts'
import { cos64, exp64, log64, sin64 } from './exact-math.ts'

/** the binary64 nearest to 2π */
const TWO_PI = 6.283185307179586

/**
 * Rotation frequencies of an architecture in radians a position, one for each
 * pair (i, i + headSize/2), in binary64: docs/numerics.md, section 6.
 */
export function frequencies (architecture: Architecture): Float64Array {
  const { headSize, ropeTheta, ropeScaling: scaling } = architecture
  const result = new Float64Array(headSize / 2)
  const logTheta = log64(ropeTheta)
  for (let i = 0; i < result.length; i++) {
    const frequency = exp64(-(2 * i / headSize) * logTheta)
    if (scaling === null) {
      result[i] = frequency
    } else if (scaling.kind === 'linear') {
      result[i] = frequency / scaling.factor
    } else if (scaling.kind === 'factors') {
      result[i] = frequency / scaling.factors[i]
    } else {
      const wavelength = TWO_PI / frequency
      const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContextLength: original } = scaling
      if (wavelength < original / high) {
        result[i] = frequency
      } else if (wavelength > original / low) {
        result[i] = frequency / factor
      } else {
        const g = (original / wavelength - low) / (high - low)
        result[i] = (1 - g) * (frequency / factor) + g * frequency
      }
    }
  }
  return result
}

/** Writes cos and sin of all pairs at one position, `frequencies.length` floats each, from `offset` on. */
export function fillRopeRow (frequencies: Float64Array, position: number, cos: Float32Array, sin: Float32Array, offset: number): void {
  for (let i = 0; i < frequencies.length; i++) {
    const angle = position * frequencies[i]
    cos[offset + i] = cos64(angle)
    sin[offset + i] = sin64(angle)
  }
}
