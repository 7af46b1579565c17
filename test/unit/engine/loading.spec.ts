import { expect } from 'chai'
import { existsSync, readFileSync } from 'node:fs'
import { createEngine } from '../../../src/engine/index.ts'
import type { Engine } from '../../../src/engine/index.ts'
import type { UnitSource } from '../../../src/model/index.ts'
import { openNamed } from '../../support/golden-models.ts'
import { wholeModel } from '../../support/open-weights.ts'

/** Bytes that this process and its threads have read by system calls; Linux counts them. */
const COUNTERS = '/proc/self/io'
const bytesRead = (): number => Number(/^rchar: (\d+)$/m.exec(readFileSync(COUNTERS, 'utf8'))![1])

/** Beside tensors: the compiled kernels, a description of the processor, the counters themselves. */
const OTHER_BYTES = 300_000

describe('engine: loading a part of a model', () => {
  const weights = openNamed('sotu-4m')!
  const options = { architecture: weights.architecture, threads: 2, variant: 'plain' as const }
  let running: Engine

  // its threads have read the program already
  before(async () => { running = await createEngine({ ...wholeModel(weights), ...options }) })
  after(async () => { await running.stop() })

  const tensorBytes = (units: UnitSource[]): number => units.flatMap(({ tensors }) => Object.values(tensors)).reduce((sum, { byteLength }) => sum + byteLength, 0)

  for (const range of [{ from: 3, to: 5 }, { from: 1, to: 5 }, { from: 0, to: 2 }]) {
    it(`asks for units ${range.from} to ${range.to - 1} only, and reads their bytes once`, async function () {
      const sources = Array.from({ length: range.to - range.from }, (_, index) => weights.unit(range.from + index))
      const asked = new Set<number>()
      const before = existsSync(COUNTERS) ? bytesRead() : undefined
      const engine = await createEngine({
        ...options,
        range,
        unit: index => {
          asked.add(index)
          return sources[index - range.from]
        }
      })
      const after = before === undefined ? undefined : bytesRead()
      await engine.stop()
      expect([...asked].sort()).to.deep.equal(sources.map((_, index) => range.from + index))
      if (before === undefined || after === undefined) this.skip()
      expect(after - before - tensorBytes(sources)).to.be.within(0, OTHER_BYTES)
      // that would not do for one layer more
      expect(tensorBytes([weights.unit(5)])).to.be.above(OTHER_BYTES)
    })
  }
})
