import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Option } from 'commander'
import { compressionPlan } from '../compression-plan.ts'
import { compressionLines } from '../compression-lines.ts'
import { DEFAULT_MODEL, DEFAULT_TARGET_BITS } from '../constants.ts'
import { UsageError } from '../errors.ts'
import { milliseconds } from '../format.ts'
import { findModel, openModelAt } from '../open-model.ts'
import { addOutputOptions, addThreadsOption } from '../options.ts'
import { decimal, integer, list } from '../parse.ts'
import { createProgress } from '../progress.ts'
import { note, write, writeJson } from '../terminal.ts'
import { readTextFile } from '../text-input.ts'
import type { Command } from 'commander'
import type { PlanFlags } from '../compression-plan.ts'
import type { Context, OutputOptions } from '../context.ts'
import type { CompressJson } from '../json.ts'

interface CompressFlags extends OutputOptions, PlanFlags {
  text?: string
  tokens?: number
  heldOut?: number
  window?: number
  threads?: number
  out?: string
  name?: string
}

export function defineCompress (program: Command, context: Context): void {
  const command = program.command('compress [source]')
    .description('Compress a model into a package: each matrix as the budget has it best, corrected by truncated SVD.')
    .option('--target-bits <b>', `stored bits per weight, all tensors counted (default: ${DEFAULT_TARGET_BITS})`, decimal(1, 32))
    .option('--budget <size>', 'stored bytes, such as 60MB; or for ranges of units, 0:16=30MB,16:32=35MB', list)
    .addOption(new Option('--mode <mode>', 'the same mode for the matrices of all layers: q8, q5, q4, q3, one of them with +svd, or svd alone'))
    .option('--rank <k>', 'rank of the correction, or of svd: a multiple of 8 (default: 16)', integer(1))
    .option('--share <p>', 'for --mode svd, instead of a rank: parameters kept, such as 0.8', decimal(0, 1))
    .option('--plain', 'truncate without regard to activations: to see how it fails')
    .addOption(new Option('--embedding <mode>', 'with --mode: how the embedding is stored (default: q8)').choices(['q8', 'q5', 'q4', 'q3']))
    .option('--text <file>', 'text to calibrate on (default: addresses that come with the program)')
    .option('--tokens <n>', 'tokens to calibrate on (default: 16384)', integer(1))
    .option('--held-out <n>', 'tokens of the text to choose the shrinkage on (default: 2048)', integer(0))
    .option('--window <n>', 'positions of a window of the text (default: 512)', integer(8))
    .option('-o, --out <folder>', 'folder of the package; must not be there yet')
    .option('--name <name>', 'name of the package (default: that of the source)')
  addOutputOptions(addThreadsOption(command))
    .addHelpText('after', `
Examples:
  $ efedllm compress models/sotu-4m --target-bits 4.8 --out sotu-4m.package
  $ efedllm compress smollm2-135m-instruct --mode q4+svd --rank 16 --out smollm2.package`)
    .action(async (source: string = DEFAULT_MODEL, flags: CompressFlags) => {
      const { terminal, signal } = context
      const { out } = flags
      if (out === undefined) throw new UsageError('no folder for the package', 'name it with --out')
      if (flags.name?.trim() === '') throw new UsageError('--name: is empty')
      if (existsSync(out)) throw new UsageError(`${out}: is there already`, 'name a folder that is not there yet')
      const progress = createProgress(terminal, flags)
      const text = flags.text === undefined ? undefined : await readTextFile(flags.text)
      const model = await openModelAt(context, await findModel(context, source, progress, flags), progress)
      const plan = compressionPlan(flags, model)
      const { calibrationText, compressModel, defaultCalibrationText, plotReport } = await import('../../svd/index.ts')
      try {
        const report = await compressModel({
          source: model,
          directory: out,
          name: flags.name,
          plan,
          text: text === undefined ? await defaultCalibrationText() : calibrationText(text),
          calibration: { tokens: flags.tokens, heldOutTokens: flags.heldOut, window: flags.window },
          threads: flags.threads ?? availableParallelism()
        }, {
          signal,
          onProgress: event => {
            if (event.type !== 'compress:matrix') progress.update(event.type === 'compress:survey' ? 'comparing modes' : 'compressing', event.done, event.total)
          }
        })
        progress.stop()
        const plot = join(out, 'report.svg')
        await writeFile(plot, plotReport(`${report.source.name}, ${report.bitsPerWeight.toFixed(2)} bits per weight`, report.matrices))
        const value: CompressJson = { ...report, plot, peakBytes: process.resourceUsage().maxRSS * 1024 }
        if (flags.json === true) {
          await writeJson(terminal, value)
        } else {
          await write(terminal.stdout, `${compressionLines(value, model.architecture.layerCount).join('\n')}\n`)
          note(terminal, `${out}: model ${report.package.modelId.slice(0, 12)}, in ${milliseconds(report.milliseconds)}; plot in ${plot}`)
        }
      } finally {
        progress.stop()
      }
    })
}
