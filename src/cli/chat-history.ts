import type { Tokenizer } from '../model/index.ts'
import type { GenerationResult } from '../peer/index.ts'

/** A turn as the session holds it. */
export interface PastTurn {
  /** what the chat template made of the conversation up to the answer */
  rendered: string
  promptIds: number[]
  answer: string
  answerIds: number[]
}

/**
 * Ids of a conversation. Those of past turns are taken as they are: encoding
 * an answer again may cut it into other tokens than it was drawn in, and all
 * that follows would have to be computed anew. Where the template has changed
 * the past (some trim it), everything is encoded.
 */
export function conversationIds (tokenizer: Tokenizer, rendered: string, past: PastTurn | undefined): number[] {
  const encode = (text: string): number[] => tokenizer.encode(text, { addSpecialTokens: false })
  if (past === undefined || !rendered.startsWith(past.rendered + past.answer)) return encode(rendered)
  return [...past.promptIds, ...past.answerIds, ...encode(rendered.slice(past.rendered.length + past.answer.length))]
}

/** The turn that a result ends; undefined where its ids and its text are not the same, as after a stop string. */
export function pastTurn (tokenizer: Tokenizer, rendered: string, promptIds: number[], result: Pick<GenerationResult, 'text' | 'tokenIds' | 'stopReason'>): PastTurn | undefined {
  // the template writes the end of the answer itself
  const answerIds = result.stopReason === 'stop-token' ? result.tokenIds.slice(0, -1) : result.tokenIds
  if (tokenizer.decode([...promptIds, ...answerIds]) !== tokenizer.decode(promptIds) + result.text) return undefined
  return { rendered, promptIds, answer: result.text, answerIds }
}
