import { bytes, table } from '../format.ts'
import { addOutputOptions } from '../options.ts'
import { write, writeJson } from '../terminal.ts'
import type { Command } from 'commander'
import type { FileDescription } from '../../model/index.ts'
import type { Context, OutputOptions } from '../context.ts'

export function defineInspect (program: Command, context: Context): void {
  const command = program.command('inspect <file>')
    .description('Describe a model file or folder: architecture, tokenizer, metadata, tensors.')
    .option('--tensors', 'list every tensor')
  addOutputOptions(command)
    .addHelpText('after', `
Example:
  $ efedllm inspect model.gguf --tensors`)
    .action(async (file: string, flags: OutputOptions & { tensors?: boolean }) => {
      const { describeFile } = await import('../../model/index.ts')
      const description = describeFile(file)
      if (flags.json === true) await writeJson(context.terminal, description)
      else await write(context.terminal.stdout, `${lines(description, flags.tensors === true).join('\n')}\n`)
    })
}

function lines (file: FileDescription, withTensors: boolean): string[] {
  const { architecture, tokenizer } = file
  const types = new Map<string, number>()
  for (const tensor of file.tensors) types.set(tensor.type, (types.get(tensor.type) ?? 0) + 1)
  const facts: string[][] = [
    ['name', file.name],
    ['format', `${file.kind}, ${file.files.length === 1 ? '1 file' : `${file.files.length} files`}, ${bytes(file.files.reduce((sum, { size }) => sum + size, 0))}`],
    ['parameters', `${file.parameters.toLocaleString('en')}, ${file.bitsPerWeight.toFixed(2)} bits each`],
    ['tensors', `${file.tensors.length}: ${[...types].map(([type, count]) => `${count} ${type}`).join(', ')}`]
  ]
  if (architecture !== null) {
    facts.push(
      ['architecture', architecture.family],
      ['layers', String(architecture.layerCount)],
      ['hidden size', `${architecture.hiddenSize}, feed-forward ${architecture.feedForwardSize}`],
      ['heads', `${architecture.headCount} of ${architecture.headSize}, ${architecture.keyValueHeadCount} for keys and values`],
      ['vocabulary', `${architecture.vocabularySize.toLocaleString('en')}${architecture.tiedEmbedding ? ', tied' : ''}`],
      ['context', `${architecture.contextLength.toLocaleString('en')} positions`]
    )
  }
  if (tokenizer !== null) facts.push(['tokenizer', `${tokenizer.kind}${tokenizer.chatTemplate ? ', with chat template' : ''}`])
  if (file.problem !== null) facts.push(['cannot be run', file.problem])
  if (file.tokenizerProblem !== null) facts.push(['cannot be read', file.tokenizerProblem])
  const metadata = table(Object.entries(file.metadata)).map(line => line.replace(/\s*\n\s*/g, ' '))
  const tensors = withTensors
    ? ['', 'tensors', ...table(file.tensors.map(({ name, type, shape, byteLength }) => [name, type, shape.join(' × '), bytes(byteLength)]))]
    : []
  return [...table(facts, ''), '', 'metadata', ...metadata, ...tensors]
}
