import { BASE_BYTES, HOP_SECONDS, MAX_MACHINES, MAX_QUANTITY } from './constants.ts'
import { InvalidMachineError, InvalidPlanOptionError } from './errors.ts'
import type { Machine, ModelCosts, SplitOptions } from './types.ts'

/** Machines that are alike: it does not matter which of them comes first. */
export interface Group {
  /** indexes into the list of machines */
  members: number[]
  /** bytes for weights and KV cache */
  budget: number
  speed: number
  hopSeconds: number
}

/** A model and machines in the form that the searches want: sums from the first unit on, machines in groups. */
export interface Problem {
  unitCount: number
  /** unitCount + 1 sums of bytes (weights and KV cache): a range [b, e) has bytes[e] - bytes[b] */
  bytes: Float64Array
  /** the same of work */
  work: Float64Array
  /** less for the whole model in one place */
  tiedBytes: number
  groups: Group[]
  machineCount: number
  /** the hop from the last stage back to whoever asks */
  returnSeconds: number
}

/** @throws InvalidMachineError, InvalidPlanOptionError */
export function createProblem (costs: ModelCosts, machines: readonly Machine[], options: SplitOptions): Problem {
  const { positions = 0, hopSeconds = HOP_SECONDS, baseBytes = BASE_BYTES } = options
  for (const [field, value] of Object.entries({ positions, hopSeconds, baseBytes })) {
    if (!(value >= 0 && value <= MAX_QUANTITY)) throw new InvalidPlanOptionError(field, `${value} is not from 0 up`)
  }
  checkMachines(machines)
  const { units, tied } = costs
  const bytes = units.map(unit => unit.memoryBytes + unit.keyValueBytes * positions)
  const groups = new Map<string, Group>()
  machines.forEach((machine, index) => {
    const hop = machine.hopSeconds ?? hopSeconds
    const key = `${machine.memoryBytes} ${machine.speed} ${hop}`
    const group = groups.get(key) ?? { members: [], budget: machine.memoryBytes - baseBytes, speed: machine.speed, hopSeconds: hop }
    group.members.push(index)
    groups.set(key, group)
  })
  return {
    unitCount: units.length,
    bytes: sums(bytes),
    work: sums(units.map(unit => unit.work)),
    // never more than either end has, so that a shorter range is never larger
    tiedBytes: Math.min(tied.memoryBytes, bytes[0], bytes[bytes.length - 1]),
    groups: [...groups.values()],
    machineCount: machines.length,
    returnSeconds: hopSeconds
  }
}

function checkMachines (machines: readonly Machine[]): void {
  if (machines.length === 0) throw new InvalidMachineError(undefined, 'machines', 'the list is empty')
  if (machines.length > MAX_MACHINES) throw new InvalidMachineError(undefined, 'machines', `${machines.length} are more than the limit of ${MAX_MACHINES}`)
  const names = new Set<string>()
  for (const { name, memoryBytes, speed, hopSeconds = 0 } of machines) {
    if (names.has(name)) throw new InvalidMachineError(name, 'name', 'is there twice')
    names.add(name)
    if (!(memoryBytes >= 0 && memoryBytes <= MAX_QUANTITY)) throw new InvalidMachineError(name, 'memory', `of ${memoryBytes} bytes is out of range`)
    if (!(speed > 0 && speed <= MAX_QUANTITY)) throw new InvalidMachineError(name, 'speed', `of ${speed} is out of range`)
    if (!(hopSeconds >= 0 && hopSeconds <= MAX_QUANTITY)) throw new InvalidMachineError(name, 'hop', `of ${hopSeconds} s is out of range`)
  }
}

function sums (values: readonly number[]): Float64Array {
  const result = new Float64Array(values.length + 1)
  values.forEach((value, i) => { result[i + 1] = result[i] + value })
  return result
}

/** Bytes of the units [from, to). */
export function bytesBetween ({ bytes, unitCount, tiedBytes }: Problem, from: number, to: number): number {
  return bytes[to] - bytes[from] - (from === 0 && to === unitCount ? tiedBytes : 0)
}

/** Seconds in which a machine of a group computes the units [from, to) for one token. */
export function secondsBetween ({ work }: Problem, { speed }: Pick<Group, 'speed'>, from: number, to: number): number {
  return (work[to] - work[from]) / speed
}
