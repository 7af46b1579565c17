import type { Engine } from '../engine/index.ts'
import type { BenchJson } from './json.ts'

export interface BenchmarkOptions {
  /** tokens of the prompt */
  prefill: number
  /** tokens decoded after it */
  decode: number
  /** rows of a step of the prompt */
  chunk: number
  /** runs that count, after one that does not */
  runs: number
  signal: AbortSignal
  onProgress?: (done: number, total: number) => void
}

/** Measures an engine over the whole model: runs of a prompt and the tokens decoded after it, each token by itself. */
export async function benchmark (engine: Engine, options: BenchmarkOptions): Promise<Pick<BenchJson, 'prefill' | 'decode'>> {
  const { prefill, decode, chunk, runs, signal, onProgress } = options
  const session = engine.openSession({ capacity: prefill + decode })
  const total = (runs + 1) * (prefill + decode)
  let done = 0
  const step = async (position: number, tokens: Uint32Array, last: boolean): Promise<number> => {
    const outputs = last ? [{ row: tokens.length - 1, output: { kind: 'top' as const, count: 1 } }] : []
    const [result] = await engine.run([{ session, position, tokens, outputs }], { signal })
    done += tokens.length
    onProgress?.(done, total)
    return result.rows?.[0]?.ids?.[0] ?? 0
  }
  const prompt = promptIds(prefill, engine.architecture.vocabularySize)
  const prefillTimes: number[] = []
  const decodeTimes: number[] = []
  const tokenTimes: number[] = []
  // the first run warms up: kernels are compiled anew while they run, and pages are touched
  for (let run = 0; run <= runs; run++) {
    engine.truncate(session, 0)
    let next = 0
    const started = performance.now()
    for (let from = 0; from < prefill; from += chunk) next = await step(from, prompt.subarray(from, from + chunk), from + chunk >= prefill)
    const answered = performance.now()
    let before = answered
    for (let token = 0; token < decode; token++) {
      next = await step(prefill + token, Uint32Array.of(next), true)
      const now = performance.now()
      if (run > 0) tokenTimes.push(now - before)
      before = now
    }
    if (run === 0) continue
    prefillTimes.push(answered - started)
    decodeTimes.push(before - answered)
  }
  engine.closeSession(session)
  const prefillMilliseconds = percentile(prefillTimes, 50)
  const decodeMilliseconds = percentile(decodeTimes, 50)
  return {
    prefill: {
      tokens: prefill,
      chunkRows: chunk,
      runs,
      milliseconds: prefillMilliseconds,
      tokensPerSecond: prefill * 1000 / prefillMilliseconds,
      ...range(prefill, prefillTimes)
    },
    decode: {
      tokens: decode,
      runs,
      milliseconds: decodeMilliseconds,
      tokensPerSecond: decode * 1000 / decodeMilliseconds,
      ...range(decode, decodeTimes),
      mean: tokenTimes.reduce((sum, time) => sum + time, 0) / tokenTimes.length,
      p50: percentile(tokenTimes, 50),
      p90: percentile(tokenTimes, 90),
      p99: percentile(tokenTimes, 99)
    }
  }
}

/** Tokens per second of the slowest and of the fastest run. */
function range (tokens: number, times: number[]): { least: number, most: number } {
  const rates = times.map(time => tokens * 1000 / time)
  return { least: Math.min(...rates), most: Math.max(...rates) }
}

/** Nearest rank: the least value that `percent` % of the values do not exceed. */
export function percentile (values: number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * percent / 100) - 1)]
}

/** The same ids on every machine, spread over the vocabulary (multiplier of Knuth's multiplicative hash). */
function promptIds (count: number, vocabularySize: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, index) => (Math.imul(index + 1, 2654435761) >>> 0) % vocabularySize)
}
