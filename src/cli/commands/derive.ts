import { UsageError } from '../errors.ts'
import { addOutputOptions } from '../options.ts'
import { integer } from '../parse.ts'
import { note, write, writeJson } from '../terminal.ts'
import type { Command } from 'commander'
import type { Context, OutputOptions } from '../context.ts'
import type { DeriveJson } from '../json.ts'

export function defineDerive (program: Command, context: Context): void {
  const command = program.command('derive <package>')
    .description('Make a model of smaller ranks from a package: a manifest of its own over the same files.')
    .requiredOption('--rank <k>', 'most columns of a correction that are used: a multiple of 8; 0 leaves corrections out', integer(0))
  addOutputOptions(command)
    .addHelpText('after', `
Example:
  $ efedllm derive smollm2.package --rank 8`)
    .action(async (path: string, flags: OutputOptions & { rank: number }) => {
      const { terminal } = context
      const { deriveManifest, manifestId, readPackage, writeDerived } = await import('../../model/index.ts')
      const { rank } = flags
      if (rank % 8 !== 0) throw new UsageError(`--rank ${rank}: is no multiple of 8`, `try ${rank - rank % 8} or ${rank - rank % 8 + 8}`)
      const { directory, manifest, modelId } = readPackage(path)
      let matrices = 0
      // the errors at other ranks are not known: the spectrum is not kept
      const derived = deriveManifest(manifest, (_unit, _role, matrix) => {
        if (matrix.rank <= rank) return matrix
        matrices++
        return rank
      })
      if (matrices === 0) throw new UsageError(`${path}: no matrix has a rank above ${rank}`, `see them with: efedllm inspect ${path}`)
      const value: DeriveJson = { manifest: await writeDerived(directory, derived), modelId: manifestId(derived), from: modelId, rank, matrices }
      if (flags.json === true) return await writeJson(terminal, value)
      await write(terminal.stdout, `${value.manifest}\n`)
      note(terminal, `model ${value.modelId.slice(0, 12)}, with ${matrices === 1 ? '1 matrix' : `${matrices} matrices`} cut to rank ${rank}; any command that takes a model takes this path`)
    })
}
