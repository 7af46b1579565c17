import { Option } from 'commander'
import { addAccessOptions, addIdentityOption } from './access.ts'
import { DEFAULT_MAX_TOKENS, MAX_THREADS } from './constants.ts'
import { decimal, duration, integer, list, repeated, time } from './parse.ts'
import type { Command } from 'commander'
import type { GenerationOptions } from '../peer/index.ts'
import type { Deadlines } from '../peer/index.ts'
import type { Access, AccessOptions, IdentityOptions } from './access.ts'

// Options that several commands share, and what the library wants to hear of them.

export interface ModelOptions {
  model?: string
  threads?: number
}

export interface RouteOptions extends ModelOptions, AccessOptions, IdentityOptions, Partial<Omit<Access, 'join'>> {
  local?: string
  /** milliseconds */
  deadline?: number
  /** milliseconds */
  wait?: number
}

export interface SamplingFlags {
  temperature?: number
  topK?: number
  topP?: number
  minP?: number
  repetitionPenalty?: number
  presencePenalty?: number
  frequencyPenalty?: number
  seed?: number
  stop?: string[]
  maxTokens: number
  logprobs?: number
}

export function addOutputOptions (command: Command): Command {
  return command
    .option('--json', 'print one JSON value as the last line of stdout (docs/json.md)')
    .option('--no-progress', 'no progress bars')
}

export function addModelOption (command: Command, what = 'model: a path, a name of `efedllm models`, or hf:owner/repository'): Command {
  return command.option('-m, --model <model>', `${what} (default: sotu-4m, which comes with the program)`)
}

export function addThreadsOption (command: Command): Command {
  return command.option('-t, --threads <n>', 'compute threads (default: one per core)', integer(1, MAX_THREADS))
}

/** Options of a client of a swarm. */
export function addRouteOptions (command: Command): Command {
  addModelOption(command)
  return addThreadsOption(addIdentityOption(addAccessOptions(command))
    .addOption(new Option('-j, --join <addresses>', 'addresses of peers, or an invite; repeat it, or put commas between').argParser(list).env('EFEDLLM_JOIN'))
    .option('--local <units>', 'units that this machine runs itself, such as embed,head, or all')
    .option('--deadline <time>', 'give up when a peer keeps us waiting longer: 10s, 500ms (default: 8s to reach it, 15s to open, 60s a step)', duration)
    .option('--wait <time>', 'when a peer is lost in mid-text, look so long for another one (default: 30s)', time))
}

export function addSamplingOptions (command: Command): Command {
  return command
    .option('-n, --max-tokens <n>', 'new tokens at most', integer(1), DEFAULT_MAX_TOKENS)
    .option('--temperature <t>', '0 takes the likeliest token; higher is more varied (default: 0)', decimal(0, 100))
    .option('--top-k <k>', 'draw from the k likeliest (default: 0, all)', integer(0))
    .option('--top-p <p>', 'draw from the fewest with this share of the probability (default: 1)', decimal(0, 1))
    .option('--min-p <p>', 'draw from those with this fraction of the best one\'s probability (default: 0)', decimal(0, 1))
    .option('--repetition-penalty <x>', 'divide logits of tokens that occurred (default: 1)', decimal(0.01, 100))
    .option('--presence-penalty <x>', 'take off logits of tokens that occurred (default: 0)', decimal(-100, 100))
    .option('--frequency-penalty <x>', 'the same for each occurrence (default: 0)', decimal(-100, 100))
    .option('--seed <n>', 'the same seed draws the same text anywhere', integer(0))
    .option('--stop <text>', 'end before this text; may be repeated', repeated)
    .option('--logprobs <n>', 'log-probabilities of each token and of the n best (in --json)', integer(0, 1024))
}

export function generationOptions (flags: SamplingFlags, stopTokenIds: readonly number[]): GenerationOptions {
  return {
    temperature: flags.temperature,
    topK: flags.topK,
    topP: flags.topP,
    minP: flags.minP,
    repetitionPenalty: flags.repetitionPenalty,
    presencePenalty: flags.presencePenalty,
    frequencyPenalty: flags.frequencyPenalty,
    seed: flags.seed,
    maximumTokens: flags.maxTokens,
    stopStrings: flags.stop,
    logProbabilities: flags.logprobs,
    stopTokenIds
  }
}

/** A deadline of the command line bounds every wait for a peer; without one the library's defaults hold. */
export function deadlines ({ deadline, wait }: RouteOptions): Partial<Deadlines> {
  return {
    ...(deadline === undefined ? {} : { info: deadline, open: deadline, step: deadline }),
    ...(wait === undefined ? {} : { repair: wait })
  }
}
