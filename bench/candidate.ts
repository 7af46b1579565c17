/** What is measured, and how a process that measures it talks to the one that compares. */

/** Opened in a process of its own; times are milliseconds. One measurement at a time. */
export interface Candidate {
  /** what a reader of the figures has to know: version, kernels, options */
  readonly description: Record<string, string>
  /** computes `tokens` positions of an empty sequence, with the output of the last */
  prefill (tokens: number): Promise<number>
  /** computes `tokens` positions one by one, each with its output, after `depth` others; those are not counted */
  decode (depth: number, tokens: number): Promise<number>
  /** the same for several sequences at once, from empty ones; a step computes one position of each */
  decodeTogether (sequences: number, tokens: number): Promise<number>
}

export interface CandidateInit {
  model: string
  threads: number
  /** positions that one sequence needs at most */
  positions: number
  /** most sequences at once, and positions of each */
  sequences: { count: number, positions: number }
  /** llama.cpp only */
  flashAttention: 'auto' | 'on' | 'off'
}

export type Request =
  | { type: 'open', init: CandidateInit }
  | { type: 'prefill', tokens: number }
  | { type: 'decode', depth: number, tokens: number }
  | { type: 'decodeTogether', sequences: number, tokens: number }

export type Reply =
  | { type: 'opened', description: Record<string, string> }
  | { type: 'measured', milliseconds: number, residentBytes: number }
  | { type: 'failed', message: string }

/**
 * Token at a position: the same for every candidate, spread over the vocabulary
 * (multiplier of Knuth's multiplicative hash). Speed does not depend on the
 * text, and so the same positions hold the same tokens whatever was computed
 * before.
 */
export function tokensAt (from: number, count: number, vocabularySize: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, index) => (Math.imul(from + index + 1, 2654435761) >>> 0) % vocabularySize)
}

/** Answers the requests of the parent process. */
export function serve (open: (init: CandidateInit) => Promise<Candidate>): void {
  let candidate: Candidate | undefined
  const measure = async (request: Exclude<Request, { type: 'open' }>): Promise<number> => {
    if (candidate === undefined) throw new Error('not open')
    switch (request.type) {
      case 'prefill': return await candidate.prefill(request.tokens)
      case 'decode': return await candidate.decode(request.depth, request.tokens)
      case 'decodeTogether': return await candidate.decodeTogether(request.sequences, request.tokens)
    }
  }
  const answer = async (request: Request): Promise<Reply> => {
    try {
      if (request.type === 'open') {
        candidate = await open(request.init)
        return { type: 'opened', description: candidate.description }
      }
      const milliseconds = await measure(request)
      return { type: 'measured', milliseconds, residentBytes: process.memoryUsage.rss() }
    } catch (error) {
      return { type: 'failed', message: error instanceof Error ? error.stack ?? error.message : String(error) }
    }
  }
  process.on('message', (request: Request) => {
    answer(request).then(reply => process.send!(reply)).catch(error => { throw error })
  })
  process.on('disconnect', () => process.exit())
}
