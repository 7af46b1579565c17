import { addEngineOption, startEngine } from '../engines.ts'
import { UsageError } from '../errors.ts'
import { milliseconds, plural } from '../format.ts'
import { openModelByName } from '../open-model.ts'
import { addModelOption, addOutputOptions, addThreadsOption } from '../options.ts'
import { integer } from '../parse.ts'
import { createProgress } from '../progress.ts'
import { note, write, writeJson } from '../terminal.ts'
import { readTextFile } from '../text-input.ts'
import type { Command } from 'commander'
import type { Context, OutputOptions } from '../context.ts'
import type { EngineName } from '../engines.ts'
import type { PerplexityJson } from '../json.ts'
import type { ModelOptions } from '../options.ts'

interface PerplexityFlags extends ModelOptions, OutputOptions {
  text?: string
  window: number
  windows?: number
  engine: EngineName
}

export function definePerplexity (program: Command, context: Context): void {
  const command = program.command('perplexity')
    .description('Perplexity of a text, over windows that do not overlap, each from an empty context.')
    .option('--text <file>', 'text file')
    .option('--window <n>', 'tokens of a window', integer(2), 512)
    .option('--windows <n>', 'windows at most (default: all that are full)', integer(1))
  addOutputOptions(addThreadsOption(addEngineOption(addModelOption(command))))
    .addHelpText('after', `
Example:
  $ efedllm perplexity --model models/sotu-4m --text models/sotu-4m/heldout.txt --windows 10`)
    .action(async (flags: PerplexityFlags) => {
      const { terminal, signal } = context
      if (flags.text === undefined) throw new UsageError('no text', 'name a file with --text')
      const text = await readTextFile(flags.text)
      const progress = createProgress(terminal, flags)
      const model = await openModelByName(context, flags.model, progress, flags)
      const { createLocalSession, perplexity } = await import('../../peer/index.ts')
      const ids = model.tokenizer.encode(text, { addSpecialTokens: false })
      const engine = await startEngine({ model, name: flags.engine, threads: flags.threads, positions: flags.window, env: terminal.env, progress, signal })
      try {
        const session = createLocalSession(engine, { capacity: flags.window })
        const started = performance.now()
        const result = await perplexity(session, ids, {
          window: flags.window,
          windows: flags.windows,
          onProgress: event => progress.update('windows', event.done, event.windows),
          signal
        })
        progress.stop()
        const value: PerplexityJson = {
          ...result,
          window: flags.window,
          engine: flags.engine,
          model: { name: model.name, modelId: model.modelId },
          milliseconds: performance.now() - started
        }
        if (flags.json === true) {
          await writeJson(terminal, value)
        } else {
          await write(terminal.stdout, `${result.perplexity.toFixed(4)}\n`)
          note(terminal, `perplexity over ${plural(result.tokens, 'token')} in ${plural(result.windows.length, 'window')}, ${milliseconds(value.milliseconds)}`)
        }
        await session.close()
      } finally {
        progress.stop()
        await engine.stop()
      }
    })
}
