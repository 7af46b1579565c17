/** What processes need over time, and whether that grows. */
import { readdirSync } from 'node:fs'
import { maximum, median } from '../figures.ts'

/** Of one process at one time. */
export interface Needs {
  /** since the run began */
  seconds: number
  residentBytes: number
  /** of JavaScript, after a garbage collection */
  heapBytes: number
  /** beside it: buffers, and what native code says it needs for JavaScript */
  externalBytes: number
  /** undefined where the system does not tell */
  handles: number | undefined
}

/** Open files and sockets of a process. */
export function openHandles (pid: number): number | undefined {
  try {
    return readdirSync(`/proc/${pid}/fd`).length
  } catch {
    return undefined
  }
}

export interface Trend {
  name: string
  /** medians of the first and of the last third, and the most there was */
  first: number
  last: number
  most: number
  /** medians of sixths of the run */
  course: number[]
  /** whether the last third is what noise could make of the first one; of resident memory, of the first or the second one */
  flat: boolean
}

/** Code is compiled, caches and pools fill, and windows of streams grow in the first minute. */
const WARM_UP_SECONDS = 60

/** By how much a process may need more at the end than at the beginning: a share, and so much. */
const SLACK = {
  residentBytes: { share: 0.1, plus: 10e6 },
  heapBytes: { share: 0.1, plus: 4e6 },
  externalBytes: { share: 0.1, plus: 4e6 },
  handles: { share: 0.1, plus: 6 }
}

export function trends (name: string, samples: readonly Needs[]): Trend[] {
  const warm = samples.filter(({ seconds }) => seconds >= Math.min(WARM_UP_SECONDS, samples.at(-1)!.seconds / 4))
  const third = Math.max(1, Math.floor(warm.length / 3))
  return (Object.keys(SLACK) as Array<keyof typeof SLACK>).flatMap(what => {
    const values = warm.flatMap(sample => sample[what] ?? [])
    if (values.length < 3) return []
    const [first, last] = [median(values.slice(0, third)), median(values.slice(-third))]
    // V8 makes its young generation larger once, by some 50 MB, when there is much to do: resident memory is to have come to rest
    const before = what === 'residentBytes' ? Math.max(first, median(values.slice(third, -third))) : first
    const sixth = Math.max(1, Math.ceil(values.length / 6))
    const course = Array.from({ length: Math.ceil(values.length / sixth) }, (_value, index) => median(values.slice(index * sixth, (index + 1) * sixth)))
    return [{ name: `${name}: ${what}`, first, last, most: maximum(values), course, flat: last <= before * (1 + SLACK[what].share) + SLACK[what].plus }]
  })
}
