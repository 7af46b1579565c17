import { connect } from './connect.ts'
import { routeLines, timingsLine } from './format.ts'
import { interruptCode } from './interrupt.ts'
import { repairJson, stageJson } from './json.ts'
import { generationOptions } from './options.ts'
import { createProgress } from './progress.ts'
import { meterSession } from './stage-times.ts'
import { note, style, write, writeJson } from './terminal.ts'
import type { Model } from '../model/index.ts'
import type { GenerationEvent, GenerationResult } from '../peer/index.ts'
import type { Context, OutputOptions } from './context.ts'
import type { PromptJson } from './json.ts'
import type { RouteOptions, SamplingFlags } from './options.ts'
import type { Terminal } from './terminal.ts'

export interface PromptFlags extends RouteOptions, SamplingFlags, OutputOptions {
  chat?: boolean
  system?: string
}

/** Answers one prompt over a route and prints it: text as it comes, or one JSON value. */
export async function answer (context: Context, flags: PromptFlags, model: Model, prompt: string): Promise<void> {
  const { terminal, signal } = context
  const { generate } = await import('../peer/index.ts')
  const promptIds = encodePrompt(model, prompt, flags)
  const connection = await connect({
    context,
    options: flags,
    model,
    capacity: Math.min(model.architecture.contextLength, promptIds.length + flags.maxTokens),
    progress: createProgress(terminal, flags)
  })
  try {
    const { session, connectMilliseconds } = connection
    const { layerCount } = model.architecture
    const metered = meterSession(session)
    // checks all options before anything is shown
    const events = generate({ session: metered, tokenizer: model.tokenizer, promptIds, options: generationOptions(flags, model.generation.stopTokenIds), signal })
    if (flags.json !== true) introduce(terminal, model, prompt, routeLines(session.route, layerCount))
    const logProbabilities: NonNullable<PromptJson['logProbabilities']> = []
    const result = await consume(events, async event => {
      if (event.type === 'text' && flags.json !== true) await write(terminal.stdout, event.text)
      if (event.type === 'token' && event.logProbability !== undefined) {
        logProbabilities.push({ id: event.id, logProbability: event.logProbability, top: event.top ?? [] })
      }
    })
    context.exitCode = interruptCode(signal)
    if (flags.json === true) {
      const { text, tokenIds, stopReason, stopString, seed, promptTokens, timings } = result
      const value: PromptJson = {
        text,
        tokenIds,
        stopReason,
        stopString: stopString ?? null,
        seed: seed ?? null,
        promptTokens,
        model: { name: model.name, modelId: model.modelId },
        route: stageJson(session.route, layerCount),
        repairs: connection.repairs.map(repair => repairJson(repair, layerCount)),
        timings: { connectMilliseconds, ...timings, stages: metered.stages },
        ...(flags.logprobs === undefined ? {} : { logProbabilities })
      }
      await writeJson(terminal, value)
    } else {
      await write(terminal.stdout, '\n')
      note(terminal, `\n${style(terminal, 'dim', timingsLine(result))}`)
    }
  } finally {
    await connection.close()
  }
}

function encodePrompt (model: Model, prompt: string, flags: PromptFlags): number[] {
  if (flags.chat !== true) return model.tokenizer.encode(prompt)
  const system = flags.system === undefined ? [] : [{ role: 'system', content: flags.system }]
  const text = model.renderChat([...system, { role: 'user', content: prompt }], { addGenerationPrompt: true })
  // the template has put the special tokens in
  return model.tokenizer.encode(text, { addSpecialTokens: false })
}

/** Runs a generation to its end, waiting for the consumer after each event. */
export async function consume (
  events: AsyncGenerator<GenerationEvent, GenerationResult, undefined>, onEvent: (event: GenerationEvent) => Promise<void>
): Promise<GenerationResult> {
  while (true) {
    const { done, value } = await events.next()
    if (done === true) return value
    await onEvent(value)
  }
}

function introduce (terminal: Terminal, model: Model, prompt: string, route: string[]): void {
  note(terminal, `${style(terminal, 'bold', model.name)}  ${style(terminal, 'dim', `model ${model.modelId.slice(0, 12)}, ${model.manifest.profile}`)}`)
  for (const line of route) note(terminal, style(terminal, 'cyan', line))
  note(terminal, '')
  const watched = terminal.stderr.isTTY === true && terminal.stdout.isTTY === true
  const shown = prompt.length > 400 ? `…${prompt.slice(-400)}` : prompt
  // on a terminal the text goes on where the prompt ends
  terminal.stderr.write(style(terminal, 'dim', shown) + (watched ? '' : '\n'))
}
