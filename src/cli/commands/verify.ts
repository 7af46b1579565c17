import { availableParallelism } from 'node:os'
import { ERROR_TOLERANCE, EXIT_FAILURE } from '../constants.ts'
import { UsageError } from '../errors.ts'
import { bytes, percent, plural, table } from '../format.ts'
import { findModel, openModelAt } from '../open-model.ts'
import { addOutputOptions, addThreadsOption } from '../options.ts'
import { integer } from '../parse.ts'
import { createProgress } from '../progress.ts'
import { note, write, writeJson } from '../terminal.ts'
import { readTextFile } from '../text-input.ts'
import type { Command } from 'commander'
import type { Context, OutputOptions } from '../context.ts'
import type { VerifyJson } from '../json.ts'
import type { Progress } from '../progress.ts'

interface VerifyFlags extends OutputOptions {
  source?: string
  weighted?: boolean
  text?: string
  tokens?: number
  heldOut?: number
  window?: number
  threads?: number
}

export function defineVerify (program: Command, context: Context): void {
  const command = program.command('verify <package>')
    .description('Check every file of a package against its hash and the manifest; with --source, the errors that the manifest states too.')
    .option('--source <model>', 'the model that was compressed: measures the errors again')
    .option('--weighted', 'weighted errors too: runs the calibration text, which takes as long as compressing')
    .option('--text <file>', 'the calibration text, where it is not the default')
    .option('--tokens <n>', 'as when the package was made', integer(1))
    .option('--held-out <n>', 'as when the package was made', integer(0))
    .option('--window <n>', 'as when the package was made', integer(8))
  addOutputOptions(addThreadsOption(command))
    .addHelpText('after', `
Example:
  $ efedllm verify sotu-4m.package --source models/sotu-4m`)
    .action(async (path: string, flags: VerifyFlags) => {
      const { terminal, signal } = context
      if (flags.weighted === true && flags.source === undefined) throw new UsageError('--weighted: only with --source')
      const progress = createProgress(terminal, flags)
      const { verifyPackage } = await import('../../model/index.ts')
      try {
        const report = await verifyPackage(path, { signal, onProgress: (done, total) => progress.update('hashing', done, total) })
        const errors = flags.source === undefined || !report.sound ? null : await measure(context, path, flags, progress)
        progress.stop()
        const value: VerifyJson = {
          directory: report.directory,
          modelId: report.modelId,
          sound: report.sound && errors?.every(({ agrees }) => agrees) !== false,
          files: report.files.map(file => ({ ...file, problem: file.problem?.message ?? null })),
          missing: report.missing,
          errors
        }
        if (!value.sound) context.exitCode = EXIT_FAILURE
        if (flags.json === true) await writeJson(terminal, value)
        else await show(context, value)
      } finally {
        progress.stop()
      }
    })
}

async function measure (context: Context, path: string, flags: VerifyFlags, progress: Progress): Promise<NonNullable<VerifyJson['errors']>> {
  const source = await openModelAt(context, await findModel(context, flags.source, progress, flags), progress)
  const stored = await openModelAt(context, path, progress)
  const { compression } = stored.manifest
  if (compression === null) throw new UsageError(`${path}: is not compressed`, 'it is verified without --source')
  if (compression.source !== null && compression.source !== source.modelId) {
    throw new UsageError(`--source: is model ${source.modelId.slice(0, 12)}, the package was made from ${compression.source.slice(0, 12)}`)
  }
  const { calibrationText, defaultCalibrationText, measureModel } = await import('../../svd/index.ts')
  const text = flags.weighted !== true ? undefined : flags.text === undefined ? await defaultCalibrationText() : calibrationText(await readTextFile(flags.text))
  if (text !== undefined && text.sha256 !== compression.calibration) {
    throw new UsageError('the calibration text is another one', 'name the text that the package was made with: --text')
  }
  const measured = await measureModel({
    stored,
    source,
    text,
    calibration: { tokens: flags.tokens, heldOutTokens: flags.heldOut, window: flags.window },
    threads: flags.threads ?? availableParallelism()
  }, { signal: context.signal, onProgress: (done, total) => progress.update('measuring errors', done, total) })
  return measured.map(matrix => ({ ...matrix, agrees: agrees(matrix) }))
}

/** What was not recorded, or not measured, contradicts nothing. */
function agrees ({ recorded, measured }: NonNullable<VerifyJson['errors']>[number] | Omit<NonNullable<VerifyJson['errors']>[number], 'agrees'>): boolean {
  return (['weighted', 'frobenius'] as const).every(kind => {
    const [stated, found] = [recorded?.[kind] ?? null, measured[kind]]
    return stated === null || found === null || Math.abs(stated - found) <= ERROR_TOLERANCE * Math.max(stated, found)
  })
}

async function show ({ terminal }: Context, { files, missing, errors, sound, directory, modelId }: VerifyJson): Promise<void> {
  const lines = table(files.map(file => [file.holds.join(', '), bytes(file.byteLength), file.problem ?? 'sound']), '')
  if (errors !== null) {
    lines.push('', ...table([
      ['unit', 'matrix', 'stated', 'measured', ''],
      ...errors.map(({ unit, role, recorded, measured, agrees }) => [
        unit,
        role,
        percent(recorded?.frobenius ?? null),
        [percent(measured.frobenius), percent(measured.weighted)].filter(text => text !== '').join(', weighted '),
        agrees ? '' : 'differs'
      ])
    ], ''))
  }
  await write(terminal.stdout, `${lines.join('\n')}\n`)
  const wrong = files.filter(file => file.problem !== null).length + (errors?.filter(({ agrees }) => !agrees).length ?? 0)
  note(terminal, `${directory}: model ${modelId.slice(0, 12)}, ${plural(files.length, 'file')}${missing.length > 0 ? `, ${plural(missing.length, 'unit')} not here` : ''}; ${sound ? 'all sound' : `${wrong} wrong`}`)
}
