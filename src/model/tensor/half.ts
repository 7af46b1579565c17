import { LARGEST_HALF } from '../constants.ts'

let table: Float32Array | undefined

/**
 * Values of all 65,536 float16 patterns. 256 KiB, made on first use: a look-up
 * is the fastest conversion without `Float16Array`, which Node 22 lacks.
 */
export function halfTable (): Float32Array {
  if (table === undefined) {
    table = new Float32Array(65_536)
    for (let bits = 0; bits < 65_536; bits++) {
      const exponent = (bits >> 10) & 31
      const fraction = bits & 1023
      let value: number
      if (exponent === 0) value = fraction * 2 ** -24
      else if (exponent < 31) value = (1024 + fraction) * 2 ** (exponent - 25)
      else value = fraction === 0 ? Infinity : NaN
      table[bits] = bits >= 32_768 ? -value : value
    }
  }
  return table
}

const float64 = new Float64Array(1)
const words = new Uint32Array(float64.buffer)

/** Bits of the float16 nearest to `value`, ties to even; beyond 65,504 those of an infinity, also for NaN. */
export function nearestHalf (value: number): number {
  const size = Math.abs(value)
  const sign = value < 0 ? 0x8000 : 0
  if (!(size < 65_520)) return sign | 0x7c00
  float64[0] = size
  const exponent = Math.max(((words[1] >>> 20) & 2047) - 1023, -14)
  // in units of the last place, ties to even; a carry into the exponent is right as it is
  const units = size / 2 ** (exponent - 10) + 2 ** 52 - 2 ** 52
  return sign | ((exponent + 14) << 10) + units
}

/** The smallest float16 not below `value` (≥ 0), or Infinity beyond 65,504. */
export function smallestHalfAtLeast (value: number): number {
  if (value === 0) return 0
  if (!(value <= LARGEST_HALF)) return Infinity
  float64[0] = value
  // Normal float16 start at 2^-14; below, the spacing stays that of 2^-14.
  const exponent = Math.max(((words[1] >>> 20) & 2047) - 1023, -14)
  const spacing = 2 ** (exponent - 10)
  return Math.ceil(value / spacing) * spacing
}
