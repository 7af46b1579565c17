import { createPrefixNames, prefixSeed } from '../prefix-names.ts'
import type { PassedStage } from '../prefix-names.ts'
import type { NameRecord } from '../wire/index.ts'

/** How the sessions of a node share what they begin with. */
export interface Sharing {
  /** of this node: who does not know it cannot tell what a name stands for */
  secret: Uint8Array
  modelId: string
}

export interface NamingInit extends Sharing {
  /** stages of the route before this one */
  passed: readonly PassedStage[]
  /** what is to be named at first */
  ids: ArrayLike<number>
  /** positions at the beginning that have come through other stages than those: nothing is named until they are replaced */
  mixed: number
  /** the list that is to hold the names */
  names?: string[]
}

/** Names of the positions of one session at one stage, and what the stage has been told of them. */
export interface Naming {
  readonly names: string[]
  /** positions from `length` on are others now */
  cut (length: number): void
  /** positions below `length` have come another way than the names say: nothing is named until they are replaced */
  taint (length: number): void
  /** Names positions, of which those from `changed` on are others than before, and gives what the stage does not know yet. */
  update (ids: ArrayLike<number>, changed: number): NameRecord | undefined
}

/** The names to look for, which are those of `ids`; the stage knows none of them yet. */
export function createNaming ({ secret, modelId, passed, ids, mixed, names }: NamingInit): Naming {
  const prefix = createPrefixNames(prefixSeed(secret, modelId, passed), names)
  let told = 0
  let foreign = mixed
  if (foreign === 0) prefix.extend(ids)

  function cut (length: number): void {
    const before = prefix.names.length
    prefix.cut(length)
    foreign = Math.min(foreign, length)
    // a stage may have missed names of what was replaced
    if (prefix.names.length < before) told = 0
  }

  return {
    names: prefix.names,
    cut,
    taint (length) {
      foreign = Math.max(foreign, length)
      prefix.cut(0)
      told = 0
    },
    update (all, changed) {
      cut(changed)
      if (foreign > 0) return undefined
      prefix.extend(all)
      const first = told
      told = prefix.names.length
      return told > first ? { first, names: prefix.names.slice(first) } : undefined
    }
  }
}
