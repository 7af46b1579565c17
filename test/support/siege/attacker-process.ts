import { serveCalls } from './calls.ts'
import { connections, halfOpen, neverClosing, slowReader } from './floods.ts'
import type { Held } from './floods.ts'
import { fuzz } from './fuzz.ts'
import type { FuzzCounts, FuzzReport } from './fuzz.ts'
import type { Target } from './hostile-inputs.ts'

/** All attackers together, in a process of their own: what they do does not hold up the honest client. */

const held: Held[] = []

async function hold<Result extends Held> (attack: Promise<Result>): Promise<Omit<Result, 'release'>> {
  const result = await attack
  held.push(result)
  const { release: _release, ...figures } = result
  return figures
}

const calls = {
  fuzz: async (target: Target, counts: FuzzCounts, seed: number): Promise<FuzzReport> => await fuzz(target, counts, seed),
  halfOpen: async (target: Target, count: number) => await hold(halfOpen(target, count)),
  connections: async (target: Target, identities: number) => await hold(connections(target, identities)),
  slowReader: async (target: Target, sessions: number) => await hold(slowReader(target, sessions)),
  neverClosing: async (target: Target, identities: number, sessions: number) => await hold(neverClosing(target, identities, sessions)),
  /** lets go of everything */
  async release (): Promise<void> {
    await Promise.all(held.splice(0).map(async ({ release }) => await release()))
  }
}
export type AttackerCalls = typeof calls

serveCalls(calls)
