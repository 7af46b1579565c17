import type { Architecture, TensorRole } from '../../model/index.ts'
import { log64 } from '../exact-math.ts'
import { fillRopeRow, frequencies } from '../rope-table.ts'
import type { Arithmetic } from '../scalar/scalar-engine.ts'
import { need } from '../scalar/weights.ts'
import { exp, rmsNorm, silu } from './float.ts'
import { attend, OracleCache } from './oracle-attention.ts'
import { applyMap } from './oracle-low-rank.ts'
import type { OracleMap } from './oracle-low-rank.ts'
import { dequantiseRow, quantiseRows } from './oracle-matrix.ts'

const fround = Math.fround

/** A norm weight or bias is a vector of floats, everything else a matrix of blocks. */
export type OracleTensor = OracleMap | Float32Array

export type OracleUnits = Map<number, Partial<Record<TensorRole, OracleTensor>>>

type Unit = Partial<Record<TensorRole, OracleTensor>>

/** Profile `exact-1`, written from docs/numerics.md alone: are the bits right? */
export class OracleArithmetic implements Arithmetic<OracleCache> {
  #architecture: Architecture
  #units: OracleUnits
  #frequencies: Float64Array
  #epsilon: number

  readonly keyValues = {
    read: (cache: OracleCache, position: number, bytes: Uint8Array): void => { cache.read(this.#architecture, position, bytes) },
    write: (cache: OracleCache, position: number, bytes: Uint8Array): void => { cache.write(this.#architecture, position, bytes) }
  }

  constructor (architecture: Architecture, units: OracleUnits) {
    this.#architecture = architecture
    this.#units = units
    this.#frequencies = frequencies(architecture)
    this.#epsilon = fround(architecture.normEpsilon)
  }

  createCache (): OracleCache {
    return new OracleCache()
  }

  copyCache (cache: OracleCache): OracleCache {
    return cache.copy()
  }

  embed (ids: Uint32Array): Float32Array {
    const { weights } = need(this.#units.get(0), 'embedding', 'embed') as OracleMap
    const { hiddenSize } = this.#architecture
    const out = new Float32Array(ids.length * hiddenSize)
    ids.forEach((id, row) => dequantiseRow(weights!, id, out, row * hiddenSize))
    return out
  }

  layer (index: number, hidden: Float32Array, rows: number, position: number, cache: OracleCache): void {
    const unit = this.#units.get(index + 1) ?? {}
    const matrix = (role: TensorRole) => need(unit, role, `layer ${index}`) as OracleMap
    const vector = (role: TensorRole) => unit[role] as Float32Array | undefined
    const { hiddenSize, headCount, keyValueHeadCount, headSize, queryKeyNorm, slidingWindows } = this.#architecture
    const shape = { headCount, keyValueHeadCount, headSize, window: slidingWindows[index] ?? Infinity }
    // 1
    const x = quantiseRows(this.#norm(hidden, unit, 'attentionNorm', hiddenSize), rows)
    let queries = applyMap(matrix('query'), x, vector('queryBias'))
    let keys = applyMap(matrix('key'), x, vector('keyBias'))
    const values = applyMap(matrix('value'), x, vector('valueBias'))
    // 2
    if (queryKeyNorm) {
      queries = this.#norm(queries, unit, 'queryNorm', headSize)
      keys = this.#norm(keys, unit, 'keyNorm', headSize)
    }
    // 3
    const cos = new Float32Array(headSize / 2)
    const sin = new Float32Array(headSize / 2)
    for (let row = 0; row < rows; row++) {
      fillRopeRow(this.#frequencies, position + row, cos, sin, 0)
      rotate(queries, row * headCount * headSize, headCount, cos, sin)
      rotate(keys, row * keyValueHeadCount * headSize, keyValueHeadCount, cos, sin)
    }
    // 4
    cache.store(keys, values, position, rows, Math.min(32, headSize))
    // 5
    const mixed = new Float32Array(queries.length)
    for (let row = 0; row < rows; row++) {
      attend(shape, cache, queries, row * headCount * headSize, position + row, mixed)
    }
    // 6
    add(hidden, applyMap(matrix('attentionOutput'), quantiseRows(mixed, rows), vector('attentionOutputBias')))
    // 7
    const y = quantiseRows(this.#norm(hidden, unit, 'feedForwardNorm', hiddenSize), rows)
    const gate = applyMap(matrix('gate'), y)
    const up = applyMap(matrix('up'), y)
    for (let i = 0; i < gate.length; i++) gate[i] = silu(gate[i]) * up[i]
    add(hidden, applyMap(matrix('down'), quantiseRows(gate, rows)))
  }

  logits (hidden: Float32Array, rows: number): Float32Array {
    const unit = this.#units.get(this.#architecture.layerCount + 1) ?? {}
    const x = this.#norm(hidden, unit, 'finalNorm', this.#architecture.hiddenSize)
    return applyMap(need(unit, 'projection', 'head') as OracleMap, quantiseRows(x, rows))
  }

  /** Section 8. */
  logSumExp (logits: Float32Array): number {
    const largest = logits.reduce((a, b) => Math.max(a, b))
    const c = new Float64Array(8)
    for (let i = 0; i < logits.length; i++) c[i & 7] += exp(fround(logits[i] - largest))
    const [d0, d1, d2, d3] = [c[0] + c[4], c[1] + c[5], c[2] + c[6], c[3] + c[7]]
    return largest + log64((d0 + d1) + (d2 + d3))
  }

  /** RMSNorm of consecutive vectors of `size` floats */
  #norm (x: Float32Array, unit: Unit, role: TensorRole, size: number): Float32Array {
    const weight = need(unit, role, 'unit') as Float32Array
    const out = new Float32Array(x.length)
    for (let from = 0; from < x.length; from += size) rmsNorm(x, from, size, weight, this.#epsilon, out)
    return out
  }
}

/** Section 5, step 3, for consecutive heads from `offset` on. */
function rotate (x: Float32Array, offset: number, heads: number, cos: Float32Array, sin: Float32Array): void {
  const half = cos.length
  for (let head = 0; head < heads; head++) {
    for (let i = 0; i < half; i++) {
      const at = offset + head * 2 * half + i
      const a = x[at]
      const b = x[at + half]
      x[at] = fround(a * cos[i]) - fround(b * sin[i])
      x[at + half] = fround(b * cos[i]) + fround(a * sin[i])
    }
  }
}

/** Stores to a Float32Array round once, as one float addition does. */
function add (target: Float32Array, values: Float32Array): void {
  for (let i = 0; i < target.length; i++) target[i] += values[i]
}
