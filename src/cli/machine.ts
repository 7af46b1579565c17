import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'

/** What a reader of a benchmark has to know about the machine. */
export interface Machine {
  processor: string
  /** that processes can use at the same time */
  threads: number
  memoryBytes: number
  platform: string
  node: string
  /** of the instruction sets that decide about the speed, those it has; `null` where the system does not say */
  flags: string[] | null
}

/**
 * Instruction sets that the kernels, or other programs beside which they are
 * measured, make use of. `avx_vnni` is the VEX form of the 8-bit dot product,
 * the only one that V8 emits; `avx512_vnni` is the EVEX form, which C programs
 * use.
 */
const FLAGS = ['avx2', 'fma', 'f16c', 'avx_vnni', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_int8', 'asimddp', 'i8mm', 'sve']

export function describeMachine (): Machine {
  return {
    processor: cpus()[0]?.model.trim() || 'unknown',
    threads: availableParallelism(),
    memoryBytes: totalmem(),
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
    flags: readFlags()
  }
}

/** The flags of interest in the text of Linux's /proc/cpuinfo, or `null` if it names none. */
export function flagsIn (cpuinfo: string): string[] | null {
  const line = /^(?:flags|Features)\s*:(.*)$/m.exec(cpuinfo)
  if (line === null) return null
  const all = new Set(line[1].trim().split(/\s+/))
  return FLAGS.filter(flag => all.has(flag))
}

function readFlags (): string[] | null {
  try {
    return flagsIn(readFileSync('/proc/cpuinfo', 'utf8'))
  } catch {
    return null
  }
}

/** Two lines for people. Both forms of VNNI are named also where they are missing: they explain most differences. */
export function machineLines ({ processor, threads, memoryBytes, platform, node, flags }: Machine): string[] {
  const has = (flag: string) => `${flag} ${flags!.includes(flag) ? 'yes' : 'no'}`
  return [
    `${processor}, ${threads} threads, ${Math.round(memoryBytes / 1e9)} GB, ${platform}, Node ${node}`,
    flags === null ? 'processor flags unknown' : `${has('avx_vnni')}, ${has('avx512_vnni')}; ${flags.filter(flag => !flag.endsWith('_vnni')).join(' ')}`
  ]
}
