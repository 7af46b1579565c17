/** This project's engine as a candidate. */
import { createEngine } from '../src/engine/index.ts'
import type { BatchItem, Engine } from '../src/engine/index.ts'
import { openWeights } from '../src/model/index.ts'
import { serve, tokensAt } from './candidate.ts'
import type { Candidate, CandidateInit } from './candidate.ts'

serve(async init => {
  const { architecture, unit } = openWeights(init.model)
  const engine = await createEngine({
    architecture,
    unit,
    range: { from: 0, to: architecture.layerCount + 2 },
    threads: init.threads,
    keyValuePositions: roundUp(init.positions) + init.sequences.count * roundUp(init.sequences.positions)
  })
  return new EngineCandidate(engine, init)
})

class EngineCandidate implements Candidate {
  readonly description: Record<string, string>
  readonly #engine: Engine
  readonly #session: number

  constructor (engine: Engine, init: CandidateInit) {
    this.#engine = engine
    this.#session = engine.openSession({ capacity: init.positions })
    this.description = { node: process.version, kernels: engine.kernels === undefined ? 'unknown' : [...new Set([engine.kernels.vector, engine.kernels.tile])].join(', ') }
  }

  async prefill (tokens: number): Promise<number> {
    this.#engine.truncate(this.#session, 0)
    return await timed(async () => { await this.#engine.run([this.#item(this.#session, 0, tokens, true)]) })
  }

  async decode (depth: number, tokens: number): Promise<number> {
    const held = this.#engine.sessionLength(this.#session)
    if (held > depth) this.#engine.truncate(this.#session, depth)
    else if (held < depth) await this.#engine.run([this.#item(this.#session, held, depth - held, false)])
    return await timed(async () => {
      for (let token = 0; token < tokens; token++) await this.#engine.run([this.#item(this.#session, depth + token, 1, true)])
    })
  }

  async decodeTogether (sequences: number, tokens: number): Promise<number> {
    const sessions = Array.from({ length: sequences }, () => this.#engine.openSession({ capacity: tokens }))
    try {
      return await timed(async () => {
        for (let token = 0; token < tokens; token++) await this.#engine.run(sessions.map(session => this.#item(session, token, 1, true)))
      })
    } finally {
      for (const session of sessions) this.#engine.closeSession(session)
    }
  }

  /** Rows of a session. The output is what a client asks for: the best token and the log-sum-exp over the vocabulary. */
  #item (session: number, position: number, rows: number, wanted: boolean): BatchItem {
    const tokens = tokensAt(position, rows, this.#engine.architecture.vocabularySize)
    return { session, position, tokens, outputs: wanted ? [{ row: rows - 1, output: { kind: 'top', count: 1 } }] : [] }
  }
}

async function timed (work: () => Promise<void>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

/** Whole pages of the KV cache, of whatever size up to this; memory is touched only when used. */
function roundUp (positions: number): number {
  return Math.ceil(positions / 1024) * 1024
}
