import type { RowOutput, RowResult } from '../../engine/index.ts'
import { InvalidOptionError, InvalidRowResultError, PromptTooLongError } from './errors.ts'
import { checkIds, resolveOptions, type GenerationSettings } from './options.ts'
import { createStopStringFinder } from './stop-strings.ts'
import { createStopwatch } from './stopwatch.ts'
import { createTokenSource } from './token-source.ts'
import type {
  GenerationEvent, GenerationInit, GenerationResult, GenerationSession, GenerationTimings, StopReason
} from './types.ts'

/**
 * Continues a sequence of ids, token by token.
 *
 * The tokens are a pure function of the model, the ids, the options and the
 * seed: not of the route, of what the session held before, or of when the text
 * was cut and continued. An abort ends the text with stop reason `aborted`.
 *
 * @throws InvalidOptionError and PromptTooLongError at the call; from the
 * generator whatever `session.step` throws, and InvalidRowResultError where the
 * last stage answers nonsense. The session can be used again after any of them
 * that leave it open; what it then holds is a beginning of prompt and text.
 */
export function generate (init: GenerationInit): AsyncGenerator<GenerationEvent, GenerationResult, undefined> {
  const { architecture, capacity } = init.session
  const settings = resolveOptions(init.options ?? {}, architecture.vocabularySize)
  const promptIds = checkIds('promptIds', init.promptIds, architecture.vocabularySize)
  if (promptIds.length === 0) throw new InvalidOptionError('promptIds', 'must not be empty')
  const contextLength = Math.min(architecture.contextLength, capacity)
  if (promptIds.length >= contextLength) throw new PromptTooLongError(promptIds.length, contextLength)
  return run(init, settings, promptIds, contextLength)
}

/** `generate` to its end; events go to `onEvent`. */
export async function generateText (init: GenerationInit, onEvent?: (event: GenerationEvent) => void): Promise<GenerationResult> {
  const events = generate(init)
  while (true) {
    const { done, value } = await events.next()
    if (done === true) return value
    onEvent?.(value)
  }
}

async function * run (
  init: GenerationInit, settings: GenerationSettings, promptIds: number[], contextLength: number
): AsyncGenerator<GenerationEvent, GenerationResult, undefined> {
  const { session, tokenizer, signal } = init
  const source = createTokenSource(settings, promptIds, session.architecture.vocabularySize)
  const textStream = tokenizer.createTextStream({ skipSpecialTokens: settings.skipSpecialTokens })
  const stopStrings = createStopStringFinder(settings.stopStrings)
  const reusedTokens = reusablePrefix(session.length, init.sessionIds ?? session.heldIds ?? [], promptIds)
  const watch = createStopwatch()
  const ids = promptIds.slice()
  let text = ''
  let stopString: string | undefined
  let promptMilliseconds = 0
  let firstTokenMilliseconds = 0
  let lastTokenMilliseconds = 0

  const aborted = (): boolean => signal?.aborted === true
  const lastRow = (from: number, output: RowOutput): Promise<RowResult> =>
    runLastRow(session, ids, from, output, signal)

  async function * loop (): AsyncGenerator<GenerationEvent, StopReason, undefined> {
    if (aborted()) return 'aborted'
    watch.start()
    if (session.length > reusedTokens) await session.truncate(reusedTokens, { signal })
    let row = await lastRow(reusedTokens, source.output)
    watch.stop()
    promptMilliseconds = watch.milliseconds
    yield { type: 'prompt', tokens: promptIds.length, reusedTokens, milliseconds: promptMilliseconds }

    while (true) {
      if (aborted()) return 'aborted'
      watch.start()
      const token = await source.draw(row, ids.length, output => lastRow(ids.length - 1, output))
      const position = ids.length
      ids.push(token.id)
      const stopped = settings.stopTokenIds.has(token.id)
      const piece = stopped ? { text: '' } : stopStrings.push(textStream.push(token.id))
      stopString = piece.stopString
      text += piece.text
      watch.stop()
      lastTokenMilliseconds = watch.milliseconds
      if (position === promptIds.length) firstTokenMilliseconds = lastTokenMilliseconds
      yield { type: 'token', position, ...token }
      if (piece.text !== '') yield { type: 'text', text: piece.text }

      if (stopped) return 'stop-token'
      if (stopString !== undefined) return 'stop-string'
      if (ids.length - promptIds.length >= settings.maximumTokens) return 'length'
      if (ids.length >= contextLength) return 'context'
      if (aborted()) return 'aborted'
      watch.start()
      row = await lastRow(ids.length - 1, source.output)
      watch.stop()
    }
  }

  let stopReason: StopReason
  try {
    stopReason = yield * loop()
  } catch (error) {
    if (!aborted()) throw error
    stopReason = 'aborted'
  }
  watch.stop()
  if (stopReason !== 'stop-string') {
    // bytes of an unfinished character become U+FFFD and could complete a stop string
    const piece = stopStrings.push(textStream.flush())
    stopString = piece.stopString
    if (stopString !== undefined) stopReason = 'stop-string'
    const rest = piece.text + stopStrings.flush()
    text += rest
    if (rest !== '') yield { type: 'text', text: rest }
  }
  const tokenIds = ids.slice(promptIds.length)
  return {
    text,
    tokenIds,
    promptTokens: promptIds.length,
    reusedTokens,
    stopReason,
    stopString,
    seed: settings.temperature === 0 ? undefined : settings.seed,
    sessionIds: ids.slice(0, session.length),
    extraRequests: source.extraRequests,
    timings: summarise(promptIds.length - reusedTokens, tokenIds.length, promptMilliseconds, firstTokenMilliseconds, lastTokenMilliseconds)
  }
}

/** Positions that need not be computed again; the last id of the prompt always is, for its logits. */
function reusablePrefix (length: number, sessionIds: ArrayLike<number>, promptIds: readonly number[]): number {
  const limit = Math.min(length, sessionIds.length, promptIds.length - 1)
  let common = 0
  while (common < limit && sessionIds[common] === promptIds[common]) common++
  return common
}

/** Runs the ids from position `from` on and gives the output of the last one. */
async function runLastRow (
  session: GenerationSession, ids: readonly number[], from: number, output: RowOutput, signal: AbortSignal | undefined
): Promise<RowResult> {
  const tokens = Uint32Array.from(ids.slice(from))
  const last = tokens.length - 1
  const rows = await session.step({ tokens, position: from, outputs: [{ row: last, output }] }, { signal })
  if (rows.length !== 1 || rows[0].row !== last) {
    throw new InvalidRowResultError('rows', `expected row ${last} only, got ${rows.length === 0 ? 'none' : rows.map(row => row.row).join(', ')}`)
  }
  return rows[0]
}

function summarise (computed: number, drawn: number, prompt: number, first: number, last: number): GenerationTimings {
  const perSecond = (count: number, milliseconds: number): number => count > 0 && milliseconds > 0 ? count * 1000 / milliseconds : 0
  return {
    promptMilliseconds: prompt,
    firstTokenMilliseconds: first,
    decodeMilliseconds: Math.max(0, last - first),
    promptTokensPerSecond: perSecond(computed, prompt),
    tokensPerSecond: perSecond(drawn - 1, last - first)
  }
}
