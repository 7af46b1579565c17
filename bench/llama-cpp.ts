/**
 * llama.cpp as a candidate, by the binding of node-llama-cpp: `llama_decode` on
 * batches that are put together here. What node-llama-cpp adds to a token by
 * itself (sampling, scheduling) is left out, so that the figures are those of
 * llama.cpp alone.
 */
import { serve, tokensAt } from './candidate.ts'
import type { Candidate, CandidateInit } from './candidate.ts'

/** The part of the binding that is used; internal to node-llama-cpp, whose version is therefore fixed. */
interface Binding {
  initBatch (size: number): void
  addToBatch (sequence: number, position: number, tokens: Uint32Array, logitIndexes: Uint32Array): void
  decodeBatch (): Promise<void>
  removeTokenCellsFromSequence (sequence: number, from: number, to: number): boolean
  disposeSequence (sequence: number): void
  setThreads (threads: number): void
  getThreads (): number
}

interface Context {
  _ctx: Binding
  flashAttention: boolean | 'auto'
  dispose (): Promise<void>
}

interface Model {
  fileInfo: { metadata: { tokenizer?: { ggml?: { tokens?: unknown[] } } } }
  typeDescription?: string
  createContext (options: Record<string, unknown>): Promise<Context>
}

interface Llama {
  systemInfo: string
  llamaCppRelease: { repo: string, release: string }
  loadModel (options: Record<string, unknown>): Promise<Model>
}

/** Tokens in one `llama_decode`: its default. */
const BATCH = 512

serve(async init => {
  // by a variable: the package is not there when types are checked
  const name: string = 'node-llama-cpp'
  const { getLlama } = await import(name) as { getLlama: (options: Record<string, unknown>) => Promise<Llama> }
  const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, maxThreads: init.threads, logLevel: 'error' })
  const model = await llama.loadModel({ modelPath: init.model, gpuLayers: 0 })
  return await openCandidate(init, llama, model)
})

async function openCandidate (init: CandidateInit, llama: Llama, model: Model): Promise<Candidate> {
  const { threads } = init
  const vocabularySize = model.fileInfo.metadata.tokenizer?.ggml?.tokens?.length ?? 0
  if (vocabularySize === 0) throw new Error(`${init.model}: no vocabulary`)

  const createContext = async (positions: number, sequences: number): Promise<Context> => {
    const context = await model.createContext({
      // llama.cpp computes attention over what is used, not over the size of the context
      contextSize: positions,
      sequences,
      batchSize: BATCH,
      threads,
      flashAttention: init.flashAttention === 'auto' ? 'auto' : init.flashAttention === 'on'
    })
    context._ctx.setThreads(threads)
    return context
  }

  const compute = async (binding: Binding, sequences: number, from: number, count: number): Promise<void> => {
    const tokens = tokensAt(from, count, vocabularySize)
    binding.initBatch(sequences * count)
    for (let sequence = 0; sequence < sequences; sequence++) binding.addToBatch(sequence, from, tokens, Uint32Array.of(count - 1))
    await binding.decodeBatch()
  }

  const fill = async (binding: Binding, from: number, to: number): Promise<void> => {
    for (let at = from; at < to; at += BATCH) await compute(binding, 1, at, Math.min(BATCH, to - at))
  }

  const single = await createContext(init.positions, 1)
  let held = 0
  let several: { sequences: number, context: Context } | undefined

  return {
    description: {
      'llama.cpp': llama.llamaCppRelease.release,
      threads: String(single._ctx.getThreads()),
      'flash attention': String(single.flashAttention),
      'key and value cache': 'F16',
      system: llama.systemInfo.trim()
    },

    async prefill (tokens) {
      single._ctx.disposeSequence(0)
      held = tokens
      return await timed(async () => await fill(single._ctx, 0, tokens))
    },

    async decode (depth, tokens) {
      if (held > depth) single._ctx.removeTokenCellsFromSequence(0, depth, -1)
      else if (held < depth) await fill(single._ctx, held, depth)
      held = depth + tokens
      return await timed(async () => {
        for (let token = 0; token < tokens; token++) await compute(single._ctx, 1, depth + token, 1)
      })
    },

    async decodeTogether (sequences, tokens) {
      if (several?.sequences !== sequences) {
        await several?.context.dispose()
        several = { sequences, context: await createContext(init.sequences.positions, sequences) }
      }
      const binding = several.context._ctx
      for (let sequence = 0; sequence < sequences; sequence++) binding.disposeSequence(sequence)
      return await timed(async () => {
        for (let token = 0; token < tokens; token++) await compute(binding, sequences, token, 1)
      })
    }
  }
}

async function timed (work: () => Promise<void>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}
