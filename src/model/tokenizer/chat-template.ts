/**
 * Chat templates. They come with the model and are not trusted: their length,
 * the work of one rendering and its result are limited, and whatever goes
 * wrong is one typed error.
 */
import * as jinja from '@huggingface/jinja'
import type { ChatMessage } from '../types.ts'
import { MAX_RENDERED_LENGTH, MAX_TEMPLATE_RANGE, MAX_TEMPLATE_STEPS } from './constants.ts'
import { ChatTemplateError, NoChatTemplateError } from './errors.ts'
import { formatTime } from './strftime.ts'
import type { ChatTemplateSource, RenderChatOptions } from './types.ts'

// Its declarations use imports without extension, which nodenext resolution does not follow.
interface Scope { set (name: string, value: unknown): void }
interface Runner {
  run (program: unknown): { value: unknown }
  evaluate (node: unknown, scope: unknown): unknown
}
const { Environment, Interpreter } = jinja as unknown as {
  Environment: new () => Scope
  Interpreter: new (scope: Scope) => Runner
}

/** Texts of special tokens that templates refer to. */
export interface TemplateTokens { bos_token: string, eos_token: string, unk_token: string, pad_token: string }

export type ChatRenderer = (messages: readonly ChatMessage[], options?: RenderChatOptions) => string

export function createChatRenderer (templates: readonly ChatTemplateSource[], tokens: TemplateTokens): ChatRenderer {
  const sources = new Map(templates.map(({ name, source }) => [name, source]))
  const programs = new Map<string, unknown>()
  return (messages, options = {}) => {
    const { addGenerationPrompt = true, templateName = 'default', now = new Date(), variables = {} } = options
    const source = sources.get(templateName)
    if (source === undefined) throw new NoChatTemplateError(options.templateName)
    try {
      const program = programs.get(templateName) ?? new jinja.Template(source).parsed
      programs.set(templateName, program)
      return render(program, {
        ...variables,
        ...tokens,
        messages: messages.map(message => ({ ...message })),
        add_generation_prompt: addGenerationPrompt,
        ...functions(now)
      })
    } catch (cause) {
      if (cause instanceof ChatTemplateError) throw cause
      throw new ChatTemplateError(cause instanceof Error ? cause.message : String(cause), { cause })
    }
  }
}

function functions (now: Date): Record<string, unknown> {
  return {
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    raise_exception: (message: unknown) => { throw new ChatTemplateError(String(message)) },
    strftime_now: (format: unknown) => formatTime(now, String(format)),
    range: (...bounds: unknown[]) => range(bounds.filter(bound => typeof bound === 'number'))
  }
}

function render (program: unknown, variables: Record<string, unknown>): string {
  const scope = new Environment()
  for (const [name, value] of Object.entries(variables)) scope.set(name, value)
  const { value } = new LimitedInterpreter(scope).run(program)
  if (typeof value !== 'string') throw new ChatTemplateError('renders no text')
  if (value.length > MAX_RENDERED_LENGTH) throw new ChatTemplateError(`renders ${value.length} characters, more than ${MAX_RENDERED_LENGTH}`)
  return value
}

/** Counts evaluated nodes: loops can be nested without end in sight. */
class LimitedInterpreter extends Interpreter {
  #steps = 0

  override evaluate (node: unknown, scope: unknown): unknown {
    if (++this.#steps > MAX_TEMPLATE_STEPS) throw new ChatTemplateError(`takes more than ${MAX_TEMPLATE_STEPS} steps`)
    return super.evaluate(node, scope)
  }
}

function range (bounds: number[]): number[] {
  const [start, stop, step] = bounds.length === 1 ? [0, bounds[0], 1] : [bounds[0], bounds[1], bounds[2] ?? 1]
  const length = Math.max(0, Math.ceil((stop - start) / step))
  if (!(length <= MAX_TEMPLATE_RANGE)) throw new ChatTemplateError(`range of ${length} numbers, more than ${MAX_TEMPLATE_RANGE}`)
  return Array.from({ length }, (_, i) => start + i * step)
}
