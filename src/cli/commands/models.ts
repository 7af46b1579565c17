import { bytes, table } from '../format.ts'
import { addOutputOptions } from '../options.ts'
import { write, writeJson } from '../terminal.ts'
import type { Command } from 'commander'
import type { Context, OutputOptions } from '../context.ts'

export function defineModels (program: Command, context: Context): void {
  addOutputOptions(program.command('models').description('List the models that have a name, and those on this machine.'))
    .addHelpText('after', `
Example:
  $ efedllm models`)
    .action(async (flags: OutputOptions) => {
      const { terminal } = context
      const { listModels } = await import('../../model/index.ts')
      const models = await listModels({ environment: terminal.env })
      if (flags.json === true) {
        await writeJson(terminal, {
          models: models.map(({ name, description, source, path, byteLength }) => ({
            name, description: description ?? null, source, path: path ?? null, byteLength: byteLength ?? null
          }))
        })
        return
      }
      const rows = models.map(({ name, description, path, byteLength }) => [
        name, path === undefined ? 'to pull' : `here, ${bytes(byteLength ?? 0)}`, description ?? ''
      ])
      await write(terminal.stdout, `${table(rows, '').join('\n')}\n`)
    })
}
