import type { Engine } from '../src/engine/index.ts'

/** What an engine makes of windows of a text, compared with what the source makes of them. */
export interface Quality {
  perplexity: number
  /** mean over positions of the divergence from the source, nats */
  divergence: number
  /** share of positions whose likeliest token is that of the source */
  agreement: number
  positions: number
}

/** Log-probabilities of every token at every position of a window: positions × vocabulary. */
export async function logProbabilities (engine: Engine, ids: Uint32Array): Promise<Float32Array> {
  const { vocabularySize } = engine.architecture
  const session = engine.openSession({ capacity: ids.length })
  const result = new Float32Array(ids.length * vocabularySize)
  const rows = 64
  for (let position = 0; position < ids.length; position += rows) {
    const tokens = ids.subarray(position, position + rows)
    const outputs = Array.from(tokens, (_, row) => ({ row, output: { kind: 'logits' as const } }))
    const [answer] = await engine.run([{ session, position, tokens, outputs }])
    for (const { row, logits } of answer.rows ?? []) {
      const sum = logSumExp(logits!)
      const at = (position + row) * vocabularySize
      for (let i = 0; i < vocabularySize; i++) result[at + i] = logits![i] - sum
    }
  }
  engine.closeSession(session)
  return result
}

function logSumExp (logits: Float32Array): number {
  let most = -Infinity
  for (const logit of logits) most = Math.max(most, logit)
  let sum = 0
  for (const logit of logits) sum += Math.exp(logit - most)
  return most + Math.log(sum)
}

/** Quality over windows; `reference` gives the source's log-probabilities of each by its number. */
export async function measureQuality (engine: Engine, windows: Uint32Array[], reference: (index: number) => Float32Array): Promise<Quality> {
  const { vocabularySize } = engine.architecture
  let negative = 0
  let scored = 0
  let divergence = 0
  let agreed = 0
  let positions = 0
  for (const [index, ids] of windows.entries()) {
    const own = await logProbabilities(engine, ids)
    const source = reference(index)
    for (let position = 0; position < ids.length; position++) {
      const at = position * vocabularySize
      if (position + 1 < ids.length) {
        negative -= own[at + ids[position + 1]]
        scored++
      }
      let best = at
      let sourceBest = at
      for (let i = at; i < at + vocabularySize; i++) {
        divergence += Math.exp(source[i]) * (source[i] - own[i])
        if (own[i] > own[best]) best = i
        if (source[i] > source[sourceBest]) sourceBest = i
      }
      if (best === sourceBest) agreed++
      positions++
    }
  }
  return { perplexity: Math.exp(negative / scored), divergence: divergence / positions, agreement: agreed / positions, positions }
}
