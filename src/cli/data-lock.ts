import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DataDirectoryInUseError } from './errors.ts'

/**
 * Keeps a second peer from using the same key. A lock left by a process that
 * is gone is taken over. Gives back how to release it; both are synchronous so
 * that a release works while the process exits.
 */
export function lockDataDirectory (directory: string): () => void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, 'peer.lock')
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(path, `${process.pid}\n`, { flag: 'wx' })
      return () => rmSync(path, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt > 0) throw error
      const holder = readHolder(path)
      if (holder !== undefined && alive(holder)) throw new DataDirectoryInUseError(directory, holder)
      rmSync(path, { force: true })
    }
  }
}

/** Process that uses a data directory now. */
export function dataDirectoryHolder (directory: string): number | undefined {
  const holder = readHolder(join(directory, 'peer.lock'))
  return holder !== undefined && alive(holder) ? holder : undefined
}

function readHolder (path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8').trim())
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined
  } catch {
    return undefined
  }
}

function alive (pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // somebody else's process is alive too
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
