import { createHash } from 'node:crypto'
import { addEngineOption, startEngine } from '../engines.ts'
import { UsageError } from '../errors.ts'
import { table } from '../format.ts'
import { openModelByName } from '../open-model.ts'
import { addModelOption, addOutputOptions, addThreadsOption } from '../options.ts'
import { idList } from '../parse.ts'
import { createProgress } from '../progress.ts'
import { note, write, writeJson } from '../terminal.ts'
import type { Command } from 'commander'
import type { Context, OutputOptions } from '../context.ts'
import type { EngineName } from '../engines.ts'
import type { LogitsJson } from '../json.ts'
import type { ModelOptions } from '../options.ts'

interface LogitsFlags extends ModelOptions, OutputOptions {
  ids?: number[]
  engine: EngineName
}

/** Shown without --json. */
const SHOWN = 10

export function defineLogits (program: Command, context: Context): void {
  const command = program.command('logits')
    .description('Run token ids through the whole model; logits of the last one, and the hash of their bits.')
    .option('--ids <ids>', 'token ids with commas between', idList)
  addOutputOptions(addThreadsOption(addEngineOption(addModelOption(command))))
    .addHelpText('after', `
Example:
  $ efedllm logits --model models/sotu-4m --ids 1,39,70,1073 --engine oracle`)
    .action(async (flags: LogitsFlags) => {
      const { terminal, signal } = context
      const { ids } = flags
      if (ids === undefined) throw new UsageError('no ids', 'give token ids with --ids 1,2,3')
      const progress = createProgress(terminal, flags)
      const model = await openModelByName(context, flags.model, progress, flags)
      const engine = await startEngine({ model, name: flags.engine, threads: flags.threads, positions: ids.length, env: terminal.env, progress, signal })
      try {
        const session = engine.openSession({ capacity: ids.length })
        const [result] = await engine.run([{
          session, position: 0, tokens: Uint32Array.from(ids), outputs: [{ row: ids.length - 1, output: { kind: 'logits' } }]
        }], { signal })
        const logits = result.rows?.[0].logits ?? new Float32Array()
        const best = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b).slice(0, SHOWN)
        const value: LogitsJson = {
          argmax: best[0],
          last: Array.from(logits),
          sha256: createHash('sha256').update(littleEndian(logits)).digest('hex'),
          engine: flags.engine,
          model: { name: model.name, modelId: model.modelId }
        }
        if (flags.json === true) {
          await writeJson(terminal, value)
        } else {
          const rows = best.map(id => [String(id), logits[id].toFixed(5), JSON.stringify(model.tokenizer.decode([id], { skipSpecialTokens: false }))])
          await write(terminal.stdout, `${table(rows, '').join('\n')}\n`)
          note(terminal, `sha256 ${value.sha256}`)
        }
      } finally {
        progress.stop()
        await engine.stop()
      }
    })
}

/** The bytes that are hashed, on machines of either byte order. */
function littleEndian (values: Float32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 4))
  values.forEach((value, index) => view.setFloat32(index * 4, value, true))
  return new Uint8Array(view.buffer)
}
