import { setTimeout as pause } from 'node:timers/promises'
import { connectRoute, generate } from '../../src/index.ts'
import type { Model, PeerNode, RouteProgress, RouteSession } from '../../src/index.ts'
import type { Task, Turn } from './tasks.ts'

/** What has come of a client's texts. */
export interface Outcome {
  tokens: number
  /** sessions that were opened */
  sessions: number
  /** texts that came to their end as they should */
  texts: number
  /** tokens that the undisturbed text does not have at their place */
  wrong: string[]
  /** by code: openings that failed, and sessions that have said that they cannot go on for now */
  refused: Record<string, number>
  interrupted: Record<string, number>
  /** their words */
  interruptions: string[]
  /** sessions given up after such errors */
  lost: number
  /** errors without a code, and sessions that said nothing for too long */
  unclear: string[]
  /** milliseconds between two tokens with a repair between them */
  pauses: number[]
  /** the same where nobody hosted a unit for a while */
  waits: number[]
  repairs: number
  repairMilliseconds: number[]
}

export const emptyOutcome = (): Outcome => ({ tokens: 0, sessions: 0, texts: 0, wrong: [], refused: {}, interrupted: {}, interruptions: [], lost: 0, unclear: [], pauses: [], waits: [], repairs: 0, repairMilliseconds: [] })

/** Longer than all that a session waits for: its opening, a stalled step, and a repair. */
const SILENCE_MILLISECONDS = 150_000

/** An interrupted session gets so many chances to go on. */
const CHANCES = 3

/** Who finds no route asks again as a person would. */
const OPEN_AGAIN_MILLISECONDS = 1_000

export interface ClientInit {
  node: PeerNode
  model: Model
  addresses: string[]
  tasks: readonly Task[]
  random: () => number
  /** takes what happens */
  outcome: Outcome
}

/** Writes one text after another until `ending`. */
export async function runClient (init: ClientInit, ending: AbortSignal): Promise<void> {
  const { tasks, random, outcome } = init
  while (!ending.aborted) {
    const task = tasks[Math.floor(random() * tasks.length)]
    const talk = createTalk(init)
    try {
      await talk.write(task)
    } catch (error) {
      note(outcome, error as Error)
    } finally {
      await talk.close()
    }
  }
}

function note (outcome: Outcome, error: Error): void {
  outcome.unclear.push(error.stack ?? String(error))
}

/** Errors of the library have a code and say something. */
function codeOf (error: unknown): string | undefined {
  const { code, message } = error as { code?: unknown, message?: unknown }
  return typeof code === 'string' && code.startsWith('ERR_') && message !== '' ? code : undefined
}

function createTalk ({ node, model, addresses, random, outcome }: ClientInit) {
  let session: RouteSession | undefined
  let repaired = false
  let waited = false

  function onProgress (event: RouteProgress): void {
    if (event.type === 'route:waiting') waited = true
    if (event.type !== 'route:repaired') return
    repaired = true
    outcome.repairs++
    outcome.repairMilliseconds.push(event.repair.milliseconds)
  }

  async function open (promptIds: number[]): Promise<RouteSession | undefined> {
    try {
      const opened = await connectRoute({ node, model, addresses, promptIds, onProgress })
      outcome.sessions++
      return opened
    } catch (error) {
      const code = codeOf(error)
      if (code === undefined) throw error
      outcome.refused[code] = (outcome.refused[code] ?? 0) + 1
      await pause(OPEN_AGAIN_MILLISECONDS)
      return undefined
    }
  }

  /** True where the text is whole. */
  async function writeTurn (task: Task, { promptIds, tokenIds }: Turn): Promise<boolean> {
    const written: number[] = []
    for (let chance = 0; chance < CHANCES; chance++) {
      const silence = new AbortController()
      const watchdog = setTimeout(() => silence.abort(), SILENCE_MILLISECONDS)
      try {
        let before = performance.now()
        const events = generate({
          session: session!,
          tokenizer: model.tokenizer,
          promptIds: [...promptIds, ...written],
          options: { ...task.options, maximumTokens: task.options.maximumTokens! - written.length },
          signal: silence.signal
        })
        for await (const event of events) {
          if (event.type !== 'token') continue
          watchdog.refresh()
          const now = performance.now()
          if (repaired && written.length > 0) (waited ? outcome.waits : outcome.pauses).push(now - before)
          repaired = waited = false
          before = now
          outcome.tokens++
          const right = tokenIds[written.length]
          written.push(event.id)
          if (event.id === right) continue
          outcome.wrong.push(`token ${written.length} after ${promptIds.length} of a prompt is ${event.id}, not ${right}`)
          return false
        }
        if (silence.signal.aborted) {
          outcome.unclear.push(`a session said nothing for ${SILENCE_MILLISECONDS / 1000} s`)
          return false
        }
        if (written.length !== tokenIds.length) outcome.wrong.push(`a text ended after ${written.length} tokens, not ${tokenIds.length}`)
        return written.length === tokenIds.length
      } catch (error) {
        const code = codeOf(error)
        if (code === undefined) throw error
        outcome.interrupted[code] = (outcome.interrupted[code] ?? 0) + 1
        outcome.interruptions.push((error as Error).message)
      } finally {
        clearTimeout(watchdog)
      }
    }
    outcome.lost++
    return false
  }

  return {
    async write (task: Task): Promise<void> {
      session = await open(task.turns[0].promptIds)
      if (session === undefined) return
      for (const turn of task.turns) {
        if (!await writeTurn(task, turn)) return
        outcome.texts++
        // somebody reads, a little or for long
        await pause(random() < 0.9 ? 200 * random() : 8_000 * random())
      }
    },
    async close (): Promise<void> {
      await session?.close()
    }
  }
}
