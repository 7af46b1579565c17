import { createHash } from 'node:crypto'
import type { UnitRange } from '../model/index.ts'
import { MAXIMUM_PREFIX_NAMES, PREFIX_NAME_BYTES, PREFIX_STRIDE } from './constants.ts'

/** Separates these hashes from all others. */
const DOMAIN = 'efedllm-prefix-1'

/** A stage that positions pass through before they come to another one. */
export interface PassedStage {
  /** undefined for a stage of this machine */
  peerId?: string
  range: UnitRange
}

/**
 * What the names of a stage's positions begin with: docs/protocol.md,
 * Prefixes. Whatever can change what the stage holds is in it: the model, and
 * who computed its inputs. The secret makes names mean nothing to others.
 */
export function prefixSeed (secret: Uint8Array, modelId: string, passed: readonly PassedStage[]): Uint8Array {
  const hash = createHash('sha256').update(DOMAIN).update(secret).update(modelId)
  for (const { peerId = '', range } of passed) hash.update(`\n${peerId} ${range.from}:${range.to}`)
  return hash.digest()
}

/** Names of the positions of a session at one stage, one for each PREFIX_STRIDE of them. */
export interface PrefixNames {
  readonly names: string[]
  /** positions from `length` on are others now */
  cut (length: number): void
  /** names the strides that are complete */
  extend (ids: ArrayLike<number>): void
}

/** `names` is the list to be kept, an empty one. */
export function createPrefixNames (seed: Uint8Array, names: string[] = []): PrefixNames {
  return {
    names,
    cut (length) {
      names.length = Math.min(names.length, Math.floor(length / PREFIX_STRIDE))
    },
    extend (ids) {
      const bytes = new DataView(new ArrayBuffer(4 * PREFIX_STRIDE))
      while (names.length < MAXIMUM_PREFIX_NAMES && (names.length + 1) * PREFIX_STRIDE <= ids.length) {
        const first = names.length * PREFIX_STRIDE
        for (let index = 0; index < PREFIX_STRIDE; index++) bytes.setUint32(4 * index, ids[first + index], true)
        names.push(createHash('sha256').update(seed).update(names.at(-1) ?? '', 'hex').update(bytes).digest('hex').slice(0, 2 * PREFIX_NAME_BYTES))
      }
    }
  }
}

/** Ids of a prompt that are worth looking for: its last one is always computed, for its logits. */
export function namedIds (promptIds: ArrayLike<number>): Uint32Array {
  return Uint32Array.from(promptIds).subarray(0, Math.max(0, promptIds.length - 1))
}
