import type { Architecture, TensorRole } from '../../model/index.ts'
import type { Arithmetic } from '../scalar/scalar-engine.ts'
import { need } from '../scalar/weights.ts'
import { multiply } from './matrix.ts'
import type { Matrix } from './matrix.ts'
import { rotate, ropeFrequencies } from './rope.ts'
import { roundInPlace } from './rounding.ts'
import type { Rounding } from './rounding.ts'

/** Keys and values of one layer: positions × (keyValueHeadCount · headSize) */
export interface ReferenceCache {
  keys: Float32Array
  values: Float32Array
}

export interface ReferenceOptions {
  /** how keys and values are rounded when they are stored; default `f32`: not at all */
  keyValueRounding?: Rounding
  /** `s8` rounds the inputs of all matrix products per 32 values, as the profile does */
  activationRounding?: 'f32' | 's8'
}

export type ReferenceUnits = Map<number, Partial<Record<TensorRole, Matrix>>>

/** Float32 rows, binary64 sums, `Math` functions: the model as it is meant, before any quantisation of activations. */
export class ReferenceArithmetic implements Arithmetic<ReferenceCache> {
  #architecture: Architecture
  #units: ReferenceUnits
  #frequencies: number[]
  #keyValueRounding: Rounding
  #activationRounding: Rounding

  constructor (architecture: Architecture, units: ReferenceUnits, options: ReferenceOptions) {
    this.#architecture = architecture
    this.#units = units
    this.#frequencies = ropeFrequencies(architecture)
    this.#keyValueRounding = options.keyValueRounding ?? 'f32'
    this.#activationRounding = options.activationRounding ?? 'f32'
  }

  createCache (): ReferenceCache {
    return { keys: new Float32Array(0), values: new Float32Array(0) }
  }

  copyCache ({ keys, values }: ReferenceCache): ReferenceCache {
    return { keys: keys.slice(), values: values.slice() }
  }

  embed (ids: Uint32Array): Float32Array {
    const { values, columns } = need(this.#units.get(0), 'embedding', 'embed')
    const out = new Float32Array(ids.length * columns)
    ids.forEach((id, row) => out.set(values.subarray(id * columns, (id + 1) * columns), row * columns))
    return out
  }

  layer (index: number, hidden: Float32Array, rows: number, position: number, cache: ReferenceCache): void {
    const unit = this.#units.get(index + 1) ?? {}
    const { hiddenSize, headSize, headCount, keyValueHeadCount, queryKeyNorm, slidingWindows } = this.#architecture
    const product = (role: TensorRole, x: Float32Array, bias?: TensorRole) =>
      multiply(need(unit, role, `layer ${index}`), x, rows, bias === undefined ? undefined : unit[bias]?.values)

    const x = this.#rounded(this.#norm(hidden, unit, 'attentionNorm', hiddenSize))
    const queries = product('query', x, 'queryBias')
    const keys = product('key', x, 'keyBias')
    const values = product('value', x, 'valueBias')
    if (queryKeyNorm) {
      queries.set(this.#norm(queries, unit, 'queryNorm', headSize))
      keys.set(this.#norm(keys, unit, 'keyNorm', headSize))
    }
    for (let row = 0; row < rows; row++) {
      rotate(queries, row * headCount * headSize, headCount, this.#frequencies, position + row)
      rotate(keys, row * keyValueHeadCount * headSize, keyValueHeadCount, this.#frequencies, position + row)
    }
    roundInPlace(keys, this.#keyValueRounding, Math.min(32, headSize))
    roundInPlace(values, this.#keyValueRounding, Math.min(32, headSize))
    const width = keyValueHeadCount * headSize
    cache.keys = store(cache.keys, keys, position * width)
    cache.values = store(cache.values, values, position * width)

    const mixed = this.#rounded(this.#attention(queries, cache, rows, position, slidingWindows[index] ?? Infinity))
    add(hidden, product('attentionOutput', mixed, 'attentionOutputBias'))

    const y = this.#rounded(this.#norm(hidden, unit, 'feedForwardNorm', hiddenSize))
    const gate = product('gate', y)
    const up = product('up', y)
    for (let i = 0; i < gate.length; i++) gate[i] = gate[i] / (1 + Math.exp(-gate[i])) * up[i]
    add(hidden, product('down', this.#rounded(gate)))
  }

  logits (hidden: Float32Array, rows: number): Float32Array {
    const unit = this.#units.get(this.#architecture.layerCount + 1) ?? {}
    const x = this.#rounded(this.#norm(hidden, unit, 'finalNorm', this.#architecture.hiddenSize))
    return multiply(need(unit, 'projection', 'head'), x, rows)
  }

  logSumExp (logits: Float32Array): number {
    const largest = logits.reduce((a, b) => Math.max(a, b))
    return largest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0))
  }

  #rounded (x: Float32Array): Float32Array {
    roundInPlace(x, this.#activationRounding, 32)
    return x
  }

  /** RMSNorm of consecutive vectors of `size` elements */
  #norm (x: Float32Array, unit: Partial<Record<TensorRole, Matrix>>, role: TensorRole, size: number): Float32Array {
    const weight = need(unit, role, 'unit').values
    const out = new Float32Array(x.length)
    for (let from = 0; from < x.length; from += size) {
      let squares = 0
      for (let i = 0; i < size; i++) squares += x[from + i] * x[from + i]
      const inverse = 1 / Math.sqrt(squares / size + this.#architecture.normEpsilon)
      for (let i = 0; i < size; i++) out[from + i] = x[from + i] * inverse * weight[i]
    }
    return out
  }

  /** Softmax attention of each row over the positions it sees: itself and up to window − 1 before it. */
  #attention (queries: Float32Array, cache: ReferenceCache, rows: number, position: number, window: number): Float32Array {
    const { headSize, headCount, keyValueHeadCount } = this.#architecture
    const width = keyValueHeadCount * headSize
    const group = headCount / keyValueHeadCount
    const scale = 1 / Math.sqrt(headSize)
    const out = new Float32Array(queries.length)
    const weights = new Float64Array(position + rows)
    const mixed = new Float64Array(headSize)
    for (let row = 0; row < rows; row++) {
      const last = position + row
      const first = Math.max(0, last - window + 1)
      for (let head = 0; head < headCount; head++) {
        const query = (row * headCount + head) * headSize
        const column = Math.floor(head / group) * headSize
        let largest = -Infinity
        for (let j = first; j <= last; j++) {
          let dot = 0
          for (let d = 0; d < headSize; d++) dot += queries[query + d] * cache.keys[j * width + column + d]
          weights[j] = dot * scale
          largest = Math.max(largest, weights[j])
        }
        let sum = 0
        mixed.fill(0)
        for (let j = first; j <= last; j++) {
          const weight = Math.exp(weights[j] - largest)
          sum += weight
          for (let d = 0; d < headSize; d++) mixed[d] += weight * cache.values[j * width + column + d]
        }
        for (let d = 0; d < headSize; d++) out[query + d] = mixed[d] / sum
      }
    }
    return out
  }
}

function add (target: Float32Array, values: Float32Array): void {
  for (let i = 0; i < target.length; i++) target[i] += values[i]
}

/** `values` at `offset` of a buffer that grows by doubling */
function store (buffer: Float32Array, values: Float32Array, offset: number): Float32Array {
  if (offset + values.length > buffer.length) {
    const larger = new Float32Array(Math.max(offset + values.length, buffer.length * 2))
    larger.set(buffer)
    buffer = larger
  }
  buffer.set(values, offset)
  return buffer
}
