import { bytes, percent, plural, table } from '../format.ts'
import { addOutputOptions } from '../options.ts'
import { write, writeJson } from '../terminal.ts'
import type { Command } from 'commander'
import type { Architecture, FileDescription, PackageDescription } from '../../model/index.ts'
import type { Context, OutputOptions } from '../context.ts'

export function defineInspect (program: Command, context: Context): void {
  const command = program.command('inspect <file>')
    .description('Describe a model file, folder or package: architecture, tokenizer, metadata, tensors; modes, ranks and errors.')
    .option('--tensors', 'list every tensor')
  addOutputOptions(command)
    .addHelpText('after', `
Example:
  $ efedllm inspect model.gguf --tensors`)
    .action(async (file: string, flags: OutputOptions & { tensors?: boolean }) => {
      const { describeFile, describePackage, isPackage } = await import('../../model/index.ts')
      const description = isPackage(file) ? describePackage(file) : describeFile(file)
      const withTensors = flags.tensors === true
      if (flags.json === true) await writeJson(context.terminal, description)
      else await write(context.terminal.stdout, `${(description.kind === 'package' ? packageLines(description, withTensors) : lines(description, withTensors)).join('\n')}\n`)
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
  if (architecture !== null) facts.push(...architectureFacts(architecture))
  if (tokenizer !== null) facts.push(['tokenizer', `${tokenizer.kind}${tokenizer.chatTemplate ? ', with chat template' : ''}`])
  if (file.problem !== null) facts.push(['cannot be run', file.problem])
  if (file.tokenizerProblem !== null) facts.push(['cannot be read', file.tokenizerProblem])
  const metadata = table(Object.entries(file.metadata)).map(line => line.replace(/\s*\n\s*/g, ' '))
  const tensors = withTensors
    ? ['', 'tensors', ...table(file.tensors.map(({ name, type, shape, byteLength }) => [name, type, shape.join(' × '), bytes(byteLength)]))]
    : []
  return [...table(facts, ''), '', 'metadata', ...metadata, ...tensors]
}

function architectureFacts (architecture: Architecture): string[][] {
  return [
    ['architecture', architecture.family],
    ['layers', String(architecture.layerCount)],
    ['hidden size', `${architecture.hiddenSize}, feed-forward ${architecture.feedForwardSize}`],
    ['heads', `${architecture.headCount} of ${architecture.headSize}, ${architecture.keyValueHeadCount} for keys and values`],
    ['vocabulary', `${architecture.vocabularySize.toLocaleString('en')}${architecture.tiedEmbedding ? ', tied' : ''}`],
    ['context', `${architecture.contextLength.toLocaleString('en')} positions`]
  ]
}

function packageLines (described: PackageDescription, withTensors: boolean): string[] {
  const here = described.units.filter(({ present }) => present)
  const facts = [
    ['name', described.name],
    ['format', `package${here.length === described.units.length ? '' : `, ${plural(here.length, 'unit')} of ${described.units.length}`}, ${bytes(described.tensorBytes)}`],
    ['model', described.modelId],
    ['parameters', `${described.parameters.toLocaleString('en')}, ${described.bitsPerWeight.toFixed(3)} bits each`],
    ...architectureFacts(described.architecture)
  ]
  if (described.source !== null) facts.push(['compressed from', described.source])
  if (described.calibration !== null) facts.push(['calibrated on', `text ${described.calibration}`])
  const rows = here.flatMap(({ unit, tensors }) => tensors
    .filter(({ mode }) => mode !== null || withTensors)
    .map(({ role, shape, type, mode, rank, byteLength, errors }) => [
      unit,
      role,
      shape.join(' × '),
      mode ?? '',
      type,
      rank === 0 ? '' : String(rank),
      bytes(byteLength),
      percent(errors?.weighted ?? null),
      percent(errors?.frobenius ?? null)
    ]))
  const heading = ['unit', 'tensor', 'shape', 'mode', 'type', 'rank', 'bytes', 'weighted', 'Frobenius']
  return [...table(facts, ''), ...(rows.length === 0 ? [] : ['', ...table([heading, ...rows], '')])]
}
