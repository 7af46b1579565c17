import { Worker } from 'node:worker_threads'
import { expect } from 'chai'
import { encodeManifest, openWeights } from '../../../src/model/index.ts'
import { createManifest } from '../../../src/model/manifest/index.ts'
import type { MutationJob, MutationResult } from '../../support/mutation-worker.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { tinyGgufBytes } from '../../support/tiny-models.ts'

/** Inputs of each kind; small text files need fewer. */
const COUNTS = { gguf: 10_000, safetensors: 10_000, manifest: 10_000, config: 2000, index: 2000 }
const MEGABYTE = 1024 * 1024

describe('mutated inputs end in a typed error or a valid result within 64 MB', function () {
  this.timeout(180_000)
  const folder = temporaryFolder()

  for (const kind of Object.keys(COUNTS) as MutationJob['kind'][]) {
    const count = COUNTS[kind]
    it(`${count} of kind ${kind}`, async function () {
      const { architecture } = openWeights(folder.write('tiny.gguf', tinyGgufBytes()))
      const manifest = encodeManifest(createManifest(architecture, 'a'.repeat(64), new Array(4).fill('b'.repeat(64))))
      const job: MutationJob = { kind, count, seed: 4711, folder: folder.path(kind === 'gguf' ? '' : kind), manifest }
      // a worker that needs more heap ends with ERR_WORKER_OUT_OF_MEMORY; array buffers lie outside the heap
      const worker = new Worker(new URL('../../support/mutation-worker.ts', import.meta.url), {
        workerData: job, resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 16 }
      })
      const before = process.memoryUsage().arrayBuffers
      const result = await new Promise<MutationResult>((resolve, reject) => {
        worker.once('message', resolve)
        worker.once('error', reject)
      })
      await worker.terminate()
      expect(result.unexpected).to.deep.equal([])
      expect(result.arrayBuffers - before).to.be.below(64 * MEGABYTE)
      // the mutations reach both outcomes
      const refused = Object.values(result.errors).reduce((sum, number) => sum + number, 0)
      expect(refused + result.valid).to.equal(count)
      expect(refused).to.be.above(count / 10)
      if (kind !== 'manifest') expect(result.valid).to.be.above(5)
    })
  }
})
