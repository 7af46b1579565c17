import { createHash } from 'node:crypto'
import type { BlockTask } from './fetch-all.ts'

/** A thing that is named by the SHA-256 of all its bytes: `take` gets those that have it, others are refused. */
export function hashedTask ({ kind, hash, what }: Pick<BlockTask, 'kind' | 'hash' | 'what'>, take: (bytes: Uint8Array) => void): BlockTask {
  return {
    kind,
    hash,
    index: 0,
    what,
    accept: async bytes => {
      if (createHash('sha256').update(bytes).digest('hex') !== hash) return false
      take(bytes)
      return true
    }
  }
}
