import { startEngine } from '../engines.ts'
import { bytes, milliseconds, plural, rate, table } from '../format.ts'
import { benchmark } from '../benchmark.ts'
import { describeMachine, machineLines } from '../machine.ts'
import { openModelByName } from '../open-model.ts'
import { addModelOption, addOutputOptions, addThreadsOption } from '../options.ts'
import { integer } from '../parse.ts'
import { createProgress } from '../progress.ts'
import { note, write, writeJson } from '../terminal.ts'
import type { Command } from 'commander'
import type { KernelReport } from '../../engine/index.ts'
import type { Context, OutputOptions } from '../context.ts'
import type { BenchJson } from '../json.ts'
import type { ModelOptions } from '../options.ts'

interface BenchFlags extends ModelOptions, OutputOptions {
  prefill: number
  decode: number
  chunk: number
  runs: number
}

export function defineBench (program: Command, context: Context): void {
  const command = program.command('bench')
    .description('Speed of this machine on a model, without a network: prompt and decoding, after a warm-up.')
    .option('--prefill <n>', 'tokens of the prompt', integer(1), 512)
    .option('--decode <n>', 'tokens decoded after it', integer(1), 128)
    .option('--chunk <n>', 'rows of a step of the prompt', integer(1, 4096), 64)
    .option('--runs <n>', 'runs that count, after one that warms up; the median is said', integer(1, 1000), 5)
  addOutputOptions(addThreadsOption(addModelOption(command)))
    .addHelpText('after', `
Example:
  $ efedllm bench --model smollm2-135m-instruct --prefill 512 --decode 128 --threads 2`)
    .action(async (flags: BenchFlags) => {
      const { terminal, signal } = context
      const progress = createProgress(terminal, flags)
      const model = await openModelByName(context, flags.model, progress, flags)
      const { prefill, decode, chunk, runs } = flags
      const started = performance.now()
      const engine = await startEngine({ model, threads: flags.threads, positions: prefill + decode, env: terminal.env, progress, signal })
      try {
        const loadMilliseconds = performance.now() - started
        const { modelCosts, totalWork } = await import('../../partition/index.ts')
        const result = await benchmark(engine, { prefill, decode, chunk, runs, signal, onProgress: (done, total) => progress.update('running', done, total) })
        progress.stop()
        const value: BenchJson = {
          model: { name: model.name, modelId: model.modelId },
          threads: flags.threads ?? null,
          ...result,
          weightBytes: totalWork(modelCosts(model)),
          loadMilliseconds,
          kernels: engine.kernels ?? null,
          residentBytes: process.memoryUsage.rss(),
          machine: describeMachine()
        }
        if (flags.json === true) {
          await writeJson(terminal, value)
        } else {
          const { prefill: prompt, decode: tokens } = result
          const spread = ({ least, most }: { least: number, most: number }) => `${rate(least)} to ${rate(most)} in ${plural(runs, 'run')}`
          const rows = [
            ['prefill', `${rate(prompt.tokensPerSecond)} tokens/s`, spread(prompt), `${prefill} tokens in ${milliseconds(prompt.milliseconds)}`],
            ['decode', `${rate(tokens.tokensPerSecond)} tokens/s`, spread(tokens), `a token in ${milliseconds(tokens.p50)} (p90 ${milliseconds(tokens.p90)}, p99 ${milliseconds(tokens.p99)})`]
          ]
          await write(terminal.stdout, `${table(rows, '').join('\n')}\n`)
          note(terminal, `${model.name}, ${value.threads ?? value.machine.threads} threads, kernels ${describeKernels(value.kernels)}, loaded in ${milliseconds(loadMilliseconds)}, ${bytes(value.residentBytes)} resident`)
          for (const line of machineLines(value.machine)) note(terminal, line)
        }
      } finally {
        progress.stop()
        await engine.stop()
      }
    })
}

function describeKernels (kernels: KernelReport | null): string {
  if (kernels === null) return 'unknown'
  const { vector, tile, bytes, streams, byteStreams, hugePages, cached } = kernels
  const variants = vector === tile ? vector : `${vector} for one token, ${tile} for several`
  const places = `${plural(streams, 'stream')}${byteStreams === streams ? '' : `, ${byteStreams} for 8 bits`}`
  return `${variants}${bytes === vector && bytes === tile ? '' : `, ${bytes} for 8 bits`}, ${places}${hugePages ? ', large pages' : ''} (${cached ? 'measured earlier' : 'measured now'})`
}
