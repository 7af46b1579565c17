/**
 * Q4_K, Q5_K and Q6_K: super-blocks of 256 weights (`ggml-quants.c`).
 *
 * Q4_K: d f16, dmin f16, 12 bytes of eight 6-bit scales and eight 6-bit
 * minimums, 128 bytes of nibbles. Each run of 32 bytes holds the low nibbles
 * of one block of 32 weights and the high nibbles of the next.
 * Q5_K: the same with 32 bytes of fifth bits before the nibbles.
 * Q6_K: 128 bytes of low nibbles, 64 bytes of high pairs of bits, sixteen s8
 * scales, d f16.
 */

/** 6-bit scale of block `j` (0…7); `at` is the offset of the 12 packed bytes. */
export function packedScale (bytes: Uint8Array, at: number, j: number): number {
  return j < 4 ? bytes[at + j] & 63 : (bytes[at + j + 4] & 15) | (bytes[at + j - 4] >> 6) << 4
}

/** 6-bit minimum of block `j` (0…7). */
export function packedMinimum (bytes: Uint8Array, at: number, j: number): number {
  return j < 4 ? bytes[at + j + 4] & 63 : (bytes[at + j + 4] >> 4) | (bytes[at + j] >> 6) << 4
}

export function dequantise4K (bytes: Uint8Array, out: Float32Array, half: Float32Array): void {
  for (let at = 0, o = 0; at < bytes.length; at += 144) {
    const d = half[bytes[at] | bytes[at + 1] << 8]
    const dmin = half[bytes[at + 2] | bytes[at + 3] << 8]
    for (let j = 0; j < 8; j++, o += 32) {
      const scale = d * packedScale(bytes, at + 4, j)
      const minimum = dmin * packedMinimum(bytes, at + 4, j)
      const nibbles = at + 16 + (j >> 1) * 32
      const shift = (j & 1) * 4
      for (let i = 0; i < 32; i++) out[o + i] = scale * (bytes[nibbles + i] >> shift & 15) - minimum
    }
  }
}

export function dequantise5K (bytes: Uint8Array, out: Float32Array, half: Float32Array): void {
  for (let at = 0, o = 0; at < bytes.length; at += 176) {
    const d = half[bytes[at] | bytes[at + 1] << 8]
    const dmin = half[bytes[at + 2] | bytes[at + 3] << 8]
    for (let j = 0; j < 8; j++, o += 32) {
      const scale = d * packedScale(bytes, at + 4, j)
      const minimum = dmin * packedMinimum(bytes, at + 4, j)
      const nibbles = at + 48 + (j >> 1) * 32
      const shift = (j & 1) * 4
      for (let i = 0; i < 32; i++) {
        const code = bytes[nibbles + i] >> shift & 15 | (bytes[at + 16 + i] >> j & 1) << 4
        out[o + i] = scale * code - minimum
      }
    }
  }
}

export function dequantise6K (bytes: Uint8Array, out: Float32Array, half: Float32Array): void {
  for (let at = 0, o = 0; at < bytes.length; at += 210) {
    const d = half[bytes[at + 208] | bytes[at + 209] << 8]
    // two halves of 128 weights; in each, four runs of 32 share the bytes of `high`
    for (let n = 0; n < 2; n++) {
      const low = at + n * 64
      const high = at + 128 + n * 32
      const scales = at + 192 + n * 8
      for (let run = 0; run < 4; run++, o += 32) {
        const nibbles = low + (run & 1) * 32
        const nibbleShift = (run >> 1) * 4
        const first = d * (bytes[scales + run * 2] << 24 >> 24)
        const second = d * (bytes[scales + run * 2 + 1] << 24 >> 24)
        for (let i = 0; i < 32; i++) {
          const code = (bytes[nibbles + i] >> nibbleShift & 15) | (bytes[high + i] >> (run * 2) & 3) << 4
          out[o + i] = (i < 16 ? first : second) * (code - 32)
        }
      }
    }
  }
}
