import type { BatchItem, BatchResult, Engine, RowOutput } from '../../src/engine/index.ts'

/** Work on one session of a chain of engines that together host all units. */
export interface ChainItem {
  session: number[]
  position: number
  tokens: Uint32Array
  outputs?: Array<{ row: number, output: RowOutput }>
}

/** Opens a session on every engine of a chain. */
export function openChain (engines: Engine[]): number[] {
  return engines.map(engine => engine.openSession())
}

export function closeChain (engines: Engine[], session: number[]): void {
  for (const [i, engine] of engines.entries()) engine.closeSession(session[i])
}

/** Runs a batch through all engines, hidden states handed from one to the next. */
export async function runChain (engines: Engine[], batch: ChainItem[]): Promise<BatchResult[]> {
  let hidden: Array<Float32Array | undefined> = batch.map(() => undefined)
  let results: BatchResult[] = []
  for (const [i, engine] of engines.entries()) {
    results = await engine.run(batch.map(({ session, position, tokens, outputs }, j): BatchItem => ({
      session: session[i],
      position,
      ...(hidden[j] === undefined ? { tokens } : { hidden: hidden[j] }),
      ...(i === engines.length - 1 && outputs !== undefined ? { outputs } : {})
    })))
    hidden = results.map(result => result.hidden)
  }
  return results
}
