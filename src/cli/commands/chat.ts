import { createInterface } from 'node:readline'
import { checkInvited, readAccess } from '../access.ts'
import { consume } from '../answer.ts'
import { conversationIds, pastTurn } from '../chat-history.ts'
import { checkRoute, connect } from '../connect.ts'
import { routeLines, timingsLine } from '../format.ts'
import { interruptCode } from '../interrupt.ts'
import { openModelByName } from '../open-model.ts'
import { addRouteOptions, addSamplingOptions, generationOptions } from '../options.ts'
import { describeError, reportError } from '../report-error.ts'
import { createProgress } from '../progress.ts'
import { note, style, write } from '../terminal.ts'
import type { Command } from 'commander'
import type { PastTurn } from '../chat-history.ts'
import type { ChatMessage, Model } from '../../model/index.ts'
import type { Connection } from '../connect.ts'
import type { Context, OutputOptions } from '../context.ts'
import type { RouteOptions, SamplingFlags } from '../options.ts'

interface ChatFlags extends RouteOptions, SamplingFlags, OutputOptions {
  system?: string
}

export function defineChat (program: Command, context: Context): void {
  const command = program.command('chat')
    .description('Talk with a chat model. Peers keep the conversation, so that a turn costs only its own tokens.')
    .option('--system <text>', 'system message')
  addSamplingOptions(addRouteOptions(command))
    .option('--no-progress', 'no progress bars')
    .addHelpText('after', `
In the chat: /reset starts anew, /exit or Ctrl-D ends; Ctrl-C stops an answer.

Example:
  $ efedllm chat --model smollm2-135m-instruct --join /ip4/192.168.1.7/tcp/4001/p2p/12D3KooW…`)
    .action(async (typed: ChatFlags) => {
      const flags = { ...typed, ...await readAccess(typed) }
      checkRoute(flags)
      const progress = createProgress(context.terminal, flags)
      const model = await openModelByName(context, flags.model, progress, flags)
      checkInvited(model, flags)
      // refuses a model without a template before anything is loaded
      model.renderChat([{ role: 'user', content: '' }])
      const connection = await connect({ context, options: flags, model, progress })
      try {
        for (const line of routeLines(connection.session.route, model.architecture.layerCount)) {
          note(context.terminal, style(context.terminal, 'cyan', line))
        }
        await converse(context, flags, model, connection)
      } finally {
        await connection.close()
      }
    })
}

async function converse (context: Context, flags: ChatFlags, model: Model, connection: Connection): Promise<void> {
  const { terminal, signal } = context
  const { generate } = await import('../../peer/index.ts')
  const opening: ChatMessage[] = flags.system === undefined ? [] : [{ role: 'system', content: flags.system }]
  const { session } = connection
  let messages = [...opening]
  let past: PastTurn | undefined
  let answering: AbortController | undefined

  /** Answers a turn; the session holds the history already, only the new ids are computed. */
  const answer = async (turn: ChatMessage[], stop: AbortSignal): Promise<void> => {
    const rendered = model.renderChat(turn, { addGenerationPrompt: true })
    const promptIds = conversationIds(model.tokenizer, rendered, past)
    const options = generationOptions(flags, model.generation.stopTokenIds)
    // a session that the peers had to end while it was idle is repaired like any other: it only takes longer
    const events = generate({ session, tokenizer: model.tokenizer, promptIds, options, signal: AbortSignal.any([signal, stop]) })
    const result = await consume(events, async event => {
      if (event.type === 'text') await write(terminal.stdout, event.text)
    })
    messages = [...turn, { role: 'assistant', content: result.text }]
    past = pastTurn(model.tokenizer, rendered, promptIds, result)
    await write(terminal.stdout, '\n')
    note(terminal, style(terminal, 'dim', timingsLine(result)))
  }

  const watched = terminal.stdin.isTTY === true && terminal.stderr.isTTY === true
  const lines = createInterface({ input: terminal.stdin, output: terminal.stderr, terminal: watched, prompt: watched ? style(terminal, 'bold', '> ') : '' })
  let open = true
  lines.once('close', () => { open = false })
  // the terminal is in raw mode: Ctrl-C comes as a key
  lines.on('SIGINT', () => {
    if (answering !== undefined) answering.abort()
    else lines.close()
  })
  const close = (): void => lines.close()
  signal.addEventListener('abort', close, { once: true })
  try {
    lines.prompt()
    for await (const line of lines) {
      const text = line.trim()
      if (text === '/exit' || signal.aborted) break
      if (text === '/reset') {
        messages = [...opening]
        past = undefined
        note(terminal, style(terminal, 'dim', 'a new conversation'))
      } else if (text.startsWith('/')) {
        note(terminal, style(terminal, 'dim', '/reset starts anew, /exit ends'))
      } else if (text !== '') {
        answering = new AbortController()
        try {
          await answer([...messages, { role: 'user', content: text }], answering.signal)
        } catch (error) {
          // the conversation is too long for the context, and can go on after /reset
          if (describeError(error).code !== 'ERR_PROMPT_TOO_LONG') throw error
          reportError(terminal, error)
        }
        answering = undefined
      }
      if (open) lines.prompt()
    }
  } finally {
    signal.removeEventListener('abort', close)
    lines.close()
  }
  context.exitCode = interruptCode(signal)
}
