import type { Architecture, TextStream } from '../../../../src/model/types.ts'
import type { RowOutput, RowResult } from '../../../../src/engine/types.ts'
import type { GenerationSession } from '../../../../src/peer/generate/index.ts'

/** 32-bit mixing function of MurmurHash3 */
function mix (h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** Logits that depend on all ids up to a position and on nothing else; with ties. */
export function hashLogits (ids: ArrayLike<number>, vocabularySize: number, scale = 6): Float32Array {
  let state = 1
  for (let i = 0; i < ids.length; i++) state = mix(Math.imul(state, 31) + ids[i] + 1)
  return Float32Array.from({ length: vocabularySize }, (_, id) => {
    const unit = mix(state ^ Math.imul(id + 1, 0x9e3779b1)) / 2 ** 32
    // cubed: few high ones, as a language model has; rounded: ties
    return Math.round((unit ** 3 * 2 - 1) * 64) / 64 * scale
  })
}

/** docs/numerics.md, section 8, with the floats of the host's exp */
export function logSumExp (logits: Float32Array): number {
  const best = logits.reduce((a, b) => Math.max(a, b))
  let sum = 0
  for (let i = 0; i < logits.length; i++) {
    const x = Math.fround(logits[i] - best)
    sum += x < -87 ? 0 : Math.fround(Math.exp(x))
  }
  return best + Math.log(sum)
}

/** all ids, best first */
export function order (logits: ArrayLike<number>): number[] {
  return Array.from(logits, (_, id) => id).sort((a, b) => logits[b] - logits[a] || a - b)
}

/** What a last stage answers. */
export function answer (logits: Float32Array, row: number, output: RowOutput): RowResult {
  if (output.kind === 'logits') return { row, logits }
  const best = order(logits)
  const ids = Uint32Array.from(output.kind === 'score' ? output.ids : best.slice(0, output.count))
  const result: RowResult = { row, ids, values: Float32Array.from(ids, id => logits[id]), logSumExp: logSumExp(logits) }
  if (output.kind === 'score') result.argmax = best[0]
  return result
}

export interface StubSession extends GenerationSession {
  /** ids held */
  readonly ids: number[]
  /** rows computed */
  rows: number
  outputs: RowOutput[]
  steps: Array<{ position: number, tokens: number[] }>
  /** called before each step */
  onStep?: (count: number) => void
}

export function createStubSession (options: {
  vocabularySize?: number
  contextLength?: number
  capacity?: number
  scale?: number
  logits?: (ids: number[]) => Float32Array
} = {}): StubSession {
  const { vocabularySize = 300, contextLength = 64, scale } = options
  const logitsOf = options.logits ?? (ids => hashLogits(ids, vocabularySize, scale))
  const ids: number[] = []
  return {
    ids,
    rows: 0,
    outputs: [],
    steps: [],
    architecture: { vocabularySize, contextLength } as Architecture,
    capacity: options.capacity ?? contextLength,
    get length () { return ids.length },
    async step ({ tokens, position = ids.length, outputs = [] }, { signal } = {}) {
      signal?.throwIfAborted()
      if (position > ids.length || position + tokens.length > contextLength) throw new RangeError('stub: position')
      this.steps.push({ position, tokens: Array.from(tokens) })
      this.onStep?.(this.steps.length)
      signal?.throwIfAborted()
      ids.length = position
      const rows: RowResult[] = []
      tokens.forEach((token, row) => {
        ids.push(token)
        this.rows++
        for (const wanted of outputs) {
          if (wanted.row !== row) continue
          this.outputs.push(wanted.output)
          rows.push(answer(logitsOf(ids), row, wanted.output))
        }
      })
      return rows
    },
    async truncate (length) { ids.length = Math.min(ids.length, length) }
  }
}

/** Token `id` is the character with code 32 + id; 299 is the first byte of an é, whatever follows. */
export function createStubTokenizer (): { createTextStream: () => TextStream } {
  return {
    createTextStream () {
      let half = ''
      return {
        push (id) {
          if (id === 299) {
            half = 'é'
            return ''
          }
          const text = half + String.fromCharCode(32 + id)
          half = ''
          return text
        },
        flush: () => half === '' ? '' : '�'
      }
    }
  }
}
