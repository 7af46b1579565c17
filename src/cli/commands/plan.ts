import { Option } from 'commander'
import { DEFAULT_MODEL } from '../constants.ts'
import { UsageError } from '../errors.ts'
import { plural } from '../format.ts'
import { hopTime, parseMachine, readMachineFile, withSpeeds } from '../machine-list.ts'
import { openModelByName } from '../open-model.ts'
import { addOutputOptions } from '../options.ts'
import { integer, repeated } from '../parse.ts'
import { planLines } from '../plan-lines.ts'
import { createProgress } from '../progress.ts'
import { note, write, writeJson } from '../terminal.ts'
import { describeUnits } from '../units.ts'
import type { Command } from 'commander'
import type { Model } from '../../model/index.ts'
import type { Machine, Objective, SplitPlan } from '../../partition/index.ts'
import type { Context, OutputOptions } from '../context.ts'
import type { PlanJson } from '../json.ts'

interface PlanFlags extends OutputOptions {
  machines?: string
  machine?: string[]
  bench?: string
  context?: number
  sessions?: number
  objective: Objective
  hop?: string
  fixedOrder?: boolean
}

export function definePlan (program: Command, context: Context): void {
  const command = program.command('plan [model]')
    .description('Split a model over machines: who would host what, and how fast that would be. Starts nothing.')
    .option('--machine <machine>', 'name=attic,memory=8GB,speed=45 and where wanted hop=2ms; repeat it', repeated)
    .option('--machines <file>', 'the same as a JSON file: [{ "name": "attic", "memory": "8GB", "speed": 45 }]')
    .option('--bench <file>', 'output of `efedllm bench --json`: the speed of machines that say none')
    .addOption(new Option('--objective <what>', 'throughput: the slowest stage is the fastest; latency: one text is').choices(['throughput', 'latency']).default('throughput'))
    .option('--context <n>', 'positions of KV cache of a session (default: the context of the model)', integer(1))
    .option('--sessions <n>', 'sessions that every stage has KV cache for (default: 4, as a peer has)', integer(0, 1_000_000))
    .option('--hop <time>', 'from one machine to the next, where they do not say (default: 1ms)')
    .option('--fixed-order', 'stages come in the order of the machines')
  addOutputOptions(command)
    .addHelpText('after', `
Examples:
  $ efedllm plan smollm2-135m-instruct --machine name=attic,memory=2GB,speed=60 --machine name=desk,memory=1GB,speed=110
  $ efedllm plan smollm2-135m-instruct --machines machines.json --context 2048 --objective latency`)
    .action(async (name: string = DEFAULT_MODEL, flags: PlanFlags) => {
      const { terminal } = context
      const listed = [...flags.machines === undefined ? [] : await readMachineFile(flags.machines), ...(flags.machine ?? []).map(parseMachine)]
      if (listed.length === 0) throw new UsageError('no machines', 'name them with --machine name=attic,memory=8GB,speed=45, or in a file with --machines')
      const hopSeconds = flags.hop === undefined ? undefined : hopTime(flags.hop, '--hop')
      const model = await openModelByName(context, name, createProgress(terminal, flags), flags)
      const { contextLength } = model.architecture
      const { context: positions = contextLength, objective } = flags
      if (positions > contextLength) throw new UsageError(`--context ${positions}: the model has ${contextLength} positions`)
      const { keyValuePositions, modelCosts, planSplit, totalWork } = await import('../../partition/index.ts')
      const { DEFAULT_CONTEXTS } = await import('../../engine/index.ts')
      const sessions = flags.sessions ?? DEFAULT_CONTEXTS
      const costs = modelCosts(model)
      const machines = await withSpeeds(listed, { modelId: model.modelId, work: totalWork(costs) }, flags.bench)
      const plan = planSplit(costs, machines, {
        objective, order: flags.fixedOrder === true ? 'fixed' : 'free', positions: keyValuePositions(costs, positions, sessions), hopSeconds
      })
      const value = planJson(model, machines, plan, { context: positions, sessions })
      if (flags.json === true) {
        await writeJson(terminal, value)
      } else {
        note(terminal, `${model.name}  model ${model.modelId.slice(0, 12)}, KV cache for ${plural(sessions, 'session')} of ${plural(positions, 'position')}\n`)
        await write(terminal.stdout, `${planLines(value).join('\n')}\n`)
      }
    })
}

function planJson (model: Model, machines: readonly Machine[], plan: SplitPlan, { context, sessions }: { context: number, sessions: number }): PlanJson {
  const { objective, exact, stages, unused, slowestSeconds, latencySeconds, lowerBoundSeconds } = plan
  return {
    model: { name: model.name, modelId: model.modelId },
    objective,
    context,
    sessions,
    exact,
    stages: stages.map((stage, index) => ({
      stage: index + 1,
      machine: stage.name,
      range: stage.range,
      units: describeUnits(stage.range, model.architecture.layerCount),
      weightBytes: stage.weightBytes,
      keyValueBytes: stage.keyValueBytes,
      storedBytes: stage.storedBytes,
      memoryBytes: stage.memoryBytes,
      machineMemoryBytes: machines[stage.machine].memoryBytes,
      memoryShare: stage.memoryBytes / machines[stage.machine].memoryBytes,
      milliseconds: stage.seconds * 1000,
      hopMilliseconds: stage.hopSeconds * 1000,
      slowest: stage.seconds === slowestSeconds
    })),
    unused: unused.map(index => machines[index].name),
    slowestMilliseconds: slowestSeconds * 1000,
    latencyMilliseconds: latencySeconds * 1000,
    lowerBoundMilliseconds: lowerBoundSeconds * 1000,
    tokensPerSecond: { one: 1 / latencySeconds, many: 1 / slowestSeconds }
  }
}
