import { describeUnits } from './units.ts'
import type { DialBackReport, GenerationResult, HandOverReport, ReachabilityStatus, RouteRepair, StageDescription, TokenLogProbability } from '../peer/index.ts'
import type { KernelReport } from '../engine/index.ts'
import type { CompressReport, MeasuredMatrix } from '../svd/index.ts'
import type { UnitRange } from '../model/index.ts'
import type { Objective } from '../partition/index.ts'
import type { Machine } from './machine.ts'

// The values that --json prints. A contract: see docs/json.md and test/unit/cli/json.spec.ts.

/** Ready line of `peer`. */
export interface PeerJson {
  event: 'ready'
  peerId: string
  addresses: string[]
  range: UnitRange
  units: string
  model: ModelJson
  /** null where it would hold the key of a private swarm */
  invite: string | null
}

export interface InviteJson {
  invite: string
  modelId: string
  addresses: string[]
  /** it holds a key: whoever has it can join */
  private: boolean
}

export interface DoctorJson {
  reachability: { status: ReachabilityStatus, reason: string, reports: DialBackReport[] }
  /** this machine's clock, ahead of those of the peers; null where nobody could be asked */
  clockSkewMilliseconds: number | null
  modelId: string | null
  /** how many peers serve each unit; null where that is not known */
  holders: number[] | null
  peers: Array<{ address: string, peerId: string | null, software: string | null, modelId: string | null, ranges: UnitRange[], error: string | null }>
  problems: string[]
}

export interface ModelJson {
  name: string
  modelId: string
}

export interface StageJson {
  stage: number
  range: UnitRange
  units: string
  local: boolean
  peerId: string | null
  addresses: string[]
}

export interface StageTimesJson {
  stage: number
  promptMilliseconds: number
  decodeMilliseconds: number
}

export interface RepairJson {
  /** null where peers only said that they would leave */
  reason: string | null
  lost: StageJson[]
  replacements: StageJson[]
  replayedPositions: number
  milliseconds: number
  /** null where nothing was to be chosen: no peer left in order, or there was little to move */
  handOver: HandOverJson | null
}

/** How the positions of a stage that left came to the one that took its place. */
export interface HandOverJson {
  method: HandOverReport['method']
  /** that the choice was about */
  positions: number
  /** of these, those that were replayed; the others were transferred */
  split: number
  /** with those of the trial */
  transferredPositions: number
  predictedMilliseconds: number | null
  measuredMilliseconds: number
  bytesPerSecond: number | null
  positionsPerSecond: number | null
  /** why a transfer was given up */
  problem: string | null
}

export interface PromptJson {
  text: string
  tokenIds: number[]
  stopReason: GenerationResult['stopReason']
  stopString: string | null
  seed: number | null
  promptTokens: number
  model: ModelJson
  /** as it was at the end */
  route: StageJson[]
  /** of the route, in mid-text */
  repairs: RepairJson[]
  timings: GenerationResult['timings'] & {
    /** dialling, asking and opening the session */
    connectMilliseconds: number
    /** computing alone, for each stage */
    stages: StageTimesJson[]
  }
  /** only with --logprobs */
  logProbabilities?: Array<{ id: number, logProbability: number, top: TokenLogProbability[] }>
}

/** Of `status` and `peers`. */
export interface StatusJson {
  modelId: string | null
  /** how many peers serve each unit, embed first */
  holders: number[] | null
  /** numbers of the units that the fewest serve */
  weakest: number[]
  peers: Array<{
    address: string
    peerId: string | null
    software: string | null
    modelId: string | null
    ranges: Array<UnitRange & { state: 'joining' | 'serving' | 'draining' }>
    sessions: number | null
    queuedSteps: number | null
    freePositions: number | null
    roundTripMilliseconds: number | null
    error: string | null
  }>
}

/** Ready line of a `swarm` that stays up. */
export interface SwarmJson {
  event: 'ready'
  model: ModelJson
  join: string
  peers: Array<Omit<PeerJson, 'event' | 'model' | 'invite'> & { pid: number }>
}

export interface PerplexityJson {
  perplexity: number
  tokens: number
  negativeLogLikelihood: number
  argmaxHits: number
  window: number
  windows: Array<{ negativeLogLikelihood: number, tokens: number, argmaxHits: number }>
  engine: string
  model: ModelJson
  milliseconds: number
}

export interface LogitsJson {
  argmax: number
  last: number[]
  sha256: string
  engine: string
  model: ModelJson
}

export interface BenchJson {
  model: ModelJson
  threads: number | null
  prefill: { tokens: number, chunkRows: number, runs: number, milliseconds: number, tokensPerSecond: number, least: number, most: number }
  decode: {
    tokens: number
    runs: number
    milliseconds: number
    tokensPerSecond: number
    least: number
    most: number
    mean: number
    p50: number
    p90: number
    p99: number
  }
  /** bytes of weights that a token reads: times tokens per second, the speed of a machine that `plan` wants */
  weightBytes: number
  loadMilliseconds: number
  kernels: KernelReport | null
  residentBytes: number
  machine: Machine
}

export interface PlanJson {
  model: ModelJson
  objective: Objective
  /** positions of a session, and sessions, that every stage has KV cache for */
  context: number
  sessions: number
  exact: boolean
  stages: Array<{
    stage: number
    machine: string
    range: UnitRange
    units: string
    weightBytes: number
    keyValueBytes: number
    storedBytes: number
    memoryBytes: number
    machineMemoryBytes: number
    memoryShare: number
    milliseconds: number
    hopMilliseconds: number
    slowest: boolean
  }>
  unused: string[]
  slowestMilliseconds: number
  latencyMilliseconds: number
  lowerBoundMilliseconds: number
  tokensPerSecond: { one: number, many: number }
}

export interface CompressJson extends CompressReport {
  /** path of the SVG */
  plot: string
  /** largest resident memory of the process */
  peakBytes: number
}

export interface DeriveJson {
  /** path of the manifest that was written */
  manifest: string
  modelId: string
  /** modelId of the package */
  from: string
  rank: number
  /** how many matrices had a larger rank */
  matrices: number
}

export interface VerifyJson {
  directory: string
  modelId: string
  sound: boolean
  files: Array<{ path: string, holds: string[], byteLength: number, problem: string | null }>
  missing: string[]
  /** null without --source */
  errors: Array<MeasuredMatrix & { agrees: boolean }> | null
}

export function stageJson (route: StageDescription[], layerCount: number): StageJson[] {
  return route.map(({ stage, range, local, peerId, addresses }) => ({
    stage, range: { from: range.from, to: range.to }, units: describeUnits(range, layerCount), local, peerId: peerId ?? null, addresses: addresses ?? []
  }))
}

export function repairJson ({ failures, lost, replacements, replayedPositions, milliseconds, handOver }: RouteRepair, layerCount: number): RepairJson {
  return { reason: failures[0]?.message ?? null, lost: stageJson(lost, layerCount), replacements: stageJson(replacements, layerCount), replayedPositions, milliseconds, handOver: handOver === undefined ? null : handOverJson(handOver) }
}

function handOverJson ({ method, positions, split, transferredPositions, predictedSeconds, measuredSeconds, bytesPerSecond, positionsPerSecond, problem }: HandOverReport): HandOverJson {
  return {
    method,
    positions,
    split,
    transferredPositions,
    predictedMilliseconds: predictedSeconds === undefined ? null : 1000 * predictedSeconds,
    measuredMilliseconds: 1000 * measuredSeconds,
    bytesPerSecond: bytesPerSecond ?? null,
    positionsPerSecond: positionsPerSecond ?? null,
    problem: problem ?? null
  }
}
