import type { Architecture } from '../../model/index.ts'

/** Rotation frequencies, radians a position, for pairs (i, i + headSize/2). Formulas of transformers' `modeling_rope_utils`. */
export function ropeFrequencies ({ headSize, ropeTheta, ropeScaling }: Architecture): number[] {
  const base = Array.from({ length: headSize / 2 }, (_, i) => Math.pow(ropeTheta, -2 * i / headSize))
  if (ropeScaling === null) return base
  if (ropeScaling.kind === 'linear') return base.map(f => f / ropeScaling.factor)
  if (ropeScaling.kind === 'factors') return base.map((f, i) => f / ropeScaling.factors[i])
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalContextLength } = ropeScaling
  return base.map(f => {
    const turns = originalContextLength * f / (2 * Math.PI)
    if (turns > highFrequencyFactor) return f
    if (turns < lowFrequencyFactor) return f / factor
    const smooth = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor)
    return (1 - smooth) * f / factor + smooth * f
  })
}

/** Rotates `heads` consecutive heads in place, half-split: element i pairs with i + headSize/2. */
export function rotate (values: Float32Array, offset: number, heads: number, frequencies: number[], position: number): void {
  const half = frequencies.length
  for (let i = 0; i < half; i++) {
    const cos = Math.cos(position * frequencies[i])
    const sin = Math.sin(position * frequencies[i])
    for (let head = 0; head < heads; head++) {
      const at = offset + head * 2 * half + i
      const a = values[at]
      const b = values[at + half]
      values[at] = a * cos - b * sin
      values[at + half] = b * cos + a * sin
    }
  }
}
