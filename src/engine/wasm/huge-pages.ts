import { createRequire } from 'node:module'
import { platform } from 'node:process'

/** madvise(2) of Linux: the system may give these pages as large ones */
const MADV_HUGEPAGE = 14

type Advise = (address: Uint8Array, length: number, advice: number) => number

/** What is used of koffi, an optional dependency. */
interface ForeignFunctions {
  load (library: null): { func (declaration: string): Advise }
}

let advise: Advise | undefined | null

/**
 * Asks the system to give a memory in large pages (2 MiB on x86), before it is touched. Weights are read from end to end for
 * every token, keys and values in long runs, and a processor's prefetchers begin anew at each page
 * (docs/adr/0009-large-pages.md). Most Linux systems give large pages to programs that ask; Node has no way to ask, so libc
 * is called. Elsewhere, and where it cannot be called, nothing happens. Says whether the system has agreed.
 */
export function askForHugePages (memory: WebAssembly.Memory): boolean {
  if (platform !== 'linux') return false
  if (advise === undefined) advise = findAdvise() ?? null
  return advise !== null && advise(new Uint8Array(memory.buffer), memory.buffer.byteLength, MADV_HUGEPAGE) === 0
}

function findAdvise (): Advise | undefined {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as ForeignFunctions
    // in the process itself: the file of libc has another name with each libc
    return koffi.load(null).func('int madvise(void *address, size_t length, int advice)')
  } catch {
    return undefined
  }
}
