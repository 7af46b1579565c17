import { dirname, resolve } from 'node:path'
import { byteSize } from './byte-size.ts'
import { UsageError } from './errors.ts'
import { readTextFile } from './text-input.ts'
import type { Machine } from '../partition/index.ts'

/** What the speed of a machine is known from. */
export type SpeedSource =
  | { kind: 'tokens', perSecond: number }
  | { kind: 'bytes', perSecond: number }
  | { kind: 'bench', path: string }

/** A machine as it was typed. */
export interface ListedMachine {
  name: string
  memoryBytes: number
  speed: SpeedSource | undefined
  hopSeconds: number | undefined
}

/** What speeds have to be turned into work per second. */
export interface Workload {
  modelId: string
  /** bytes of weights that a token reads */
  work: number
}

const FIELDS = ['name', 'memory', 'speed', 'bench', 'hop']
const hint = 'a machine looks like name=attic,memory=8GB,speed=45 (tokens/s of the whole model), or with bench=FILE, the output of `efedllm bench --json`'

/** A machine of `--machine name=attic,memory=8GB,speed=45,hop=2ms`. @throws UsageError */
export function parseMachine (text: string): ListedMachine {
  const fields = new Map<string, string>()
  for (const part of text.split(',')) {
    const at = part.indexOf('=')
    const key = part.slice(0, Math.max(at, 0)).trim()
    if (!FIELDS.includes(key)) throw new UsageError(`--machine ${text}: ${JSON.stringify(part)} is none of ${FIELDS.join('=, ')}=`, hint)
    if (fields.has(key)) throw new UsageError(`--machine ${text}: ${key} is there twice`, hint)
    fields.set(key, part.slice(at + 1).trim())
  }
  return readMachine(fields, `--machine ${text}`, '.')
}

/** Machines of a JSON file: an array, or an object with one as `machines`. @throws UsageError */
export async function readMachineFile (path: string): Promise<ListedMachine[]> {
  const value = parseJson(await readTextFile(path), path)
  const list = Array.isArray(value) ? value : (value as { machines?: unknown } | null)?.machines
  if (!Array.isArray(list)) throw new UsageError(`${path}: no list of machines`, 'it is a JSON array such as [{ "name": "attic", "memory": "8GB", "speed": 45 }]')
  return list.map((item: unknown, index) => {
    const where = `${path}: machine ${index + 1}`
    if (typeof item !== 'object' || item === null || Array.isArray(item)) throw new UsageError(`${where} is no object`, hint)
    const fields = new Map<string, string>()
    for (const [key, field] of Object.entries(item)) {
      if (!FIELDS.includes(key)) throw new UsageError(`${where}: ${JSON.stringify(key)} is none of ${FIELDS.join(', ')}`, hint)
      if (typeof field !== 'string' && typeof field !== 'number') throw new UsageError(`${where}: ${key} is neither text nor a number`, hint)
      fields.set(key, String(field))
    }
    return readMachine(fields, where, dirname(path))
  })
}

function readMachine (fields: ReadonlyMap<string, string>, where: string, folder: string): ListedMachine {
  const name = fields.get('name') ?? ''
  // printed in tables, and parts of commands
  if (!/^[\w.-]{1,64}$/.test(name)) throw new UsageError(`${where}: name has to be 1 to 64 letters, digits, dots and dashes`, hint)
  const memoryBytes = byteSize(fields.get('memory') ?? '')
  if (memoryBytes === undefined) throw new UsageError(`${where}: memory has to be a number of bytes such as 8GB`, hint)
  const [speed, bench, hop] = [fields.get('speed'), fields.get('bench'), fields.get('hop')]
  if (speed !== undefined && bench !== undefined) throw new UsageError(`${where}: give speed or bench, not both`)
  return {
    name,
    memoryBytes,
    speed: bench !== undefined ? { kind: 'bench', path: resolve(folder, bench) } : speed === undefined ? undefined : parseSpeed(speed, where),
    hopSeconds: hop === undefined ? undefined : hopTime(hop, where)
  }
}

function parseSpeed (text: string, where: string): SpeedSource {
  const rate = /^(.+)\/s$/.exec(text)
  const perSecond = rate === null ? Number(/^\d{1,9}(\.\d{1,9})?$/.exec(text)?.[0]) : byteSize(rate[1])
  if (perSecond === undefined || !(perSecond > 0)) {
    throw new UsageError(`${where}: speed has to be tokens/s of the whole model such as 45, or bytes of weights such as 9GB/s`, hint)
  }
  return { kind: rate === null ? 'tokens' : 'bytes', perSecond }
}

/** Seconds of `2ms`, `0.5ms`, `0.1s`. @throws UsageError */
export function hopTime (text: string, where: string): number {
  const match = /^(\d{1,6}(?:\.\d{1,6})?)(ms|s)$/.exec(text)
  if (match === null) throw new UsageError(`${where}: hop has to be a time such as 2ms`)
  return Number(match[1]) / (match[2] === 'ms' ? 1000 : 1)
}

/** Machines for the planner. `bench` is for those that say no speed. @throws UsageError */
export async function withSpeeds (machines: readonly ListedMachine[], workload: Workload, bench?: string): Promise<Machine[]> {
  return await Promise.all(machines.map(async ({ name, memoryBytes, speed, hopSeconds }) => {
    const source = speed ?? (bench === undefined ? undefined : { kind: 'bench' as const, path: bench })
    if (source === undefined) {
      throw new UsageError(`machine ${name}: no speed`, 'run `efedllm bench --json > FILE` there and give it as bench=FILE, or say tokens/s as speed=')
    }
    return { name, memoryBytes, speed: await workPerSecond(source, workload), ...(hopSeconds === undefined ? {} : { hopSeconds }) }
  }))
}

async function workPerSecond (source: SpeedSource, { modelId, work }: Workload): Promise<number> {
  if (source.kind === 'bytes') return source.perSecond
  if (source.kind === 'tokens') return source.perSecond * work
  const value = parseJson(await readTextFile(source.path), source.path)
  const { decode, model, weightBytes } = (value ?? {}) as { decode?: { tokensPerSecond?: unknown }, model?: { modelId?: unknown }, weightBytes?: unknown }
  const tokens = decode?.tokensPerSecond
  if (!isPositive(tokens)) throw new UsageError(`${source.path}: no output of \`efedllm bench --json\``)
  if (model?.modelId === modelId) return tokens * work
  if (!isPositive(weightBytes)) throw new UsageError(`${source.path}: was measured with another model, and does not say how many bytes of weights a token of it reads`, 'measure again, with this version')
  return tokens * weightBytes
}

function isPositive (value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0
}

function parseJson (text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new UsageError(`${path}: not JSON`)
  }
}
