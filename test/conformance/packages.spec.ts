import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { createEngine } from '../../src/engine/index.ts'
import { createPackageWriter, openWeights } from '../../src/model/index.ts'
import { withEngine } from '../support/engines.ts'
import { hashOf } from '../support/golden-hashes.ts'
import type { GoldenHash } from '../support/golden-hashes.ts'
import { openNamed } from '../support/golden-models.ts'
import type { Weights } from '../support/open-weights.ts'
import { tinyTokenizer } from '../support/packages.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const golden: Record<string, GoldenHash[]> = JSON.parse(readFileSync(new URL('../fixtures/golden-hashes.json', import.meta.url), 'utf8'))

describe('golden hashes of packages', function () {
  this.timeout(60_000)
  const folder = temporaryFolder()

  /** The model as a package, without loss. */
  async function pack (name: string, weights: Weights): Promise<Weights> {
    const { architecture } = weights
    const directory = folder.path(name)
    const writer = await createPackageWriter({ directory, architecture, tokenizer: await tinyTokenizer(folder), about: { name, generation: { stopTokenIds: [], bosTokenId: null } } })
    for (let unit = 0; unit < architecture.layerCount + 2; unit++) {
      const { projection, ...rest } = weights.unit(unit).tensors
      await writer.addUnit(unit, architecture.tiedEmbedding || projection === undefined ? rest : { ...rest, projection })
    }
    await writer.finish()
    return openWeights(directory)
  }

  for (const [name, hashes] of Object.entries(golden)) {
    it(`${name}: the bits of all logits`, async function () {
      const weights = openNamed(name)
      if (weights === undefined) return this.skip()
      const packed = await pack(name, weights)
      expect(Object.values(packed.unit(1).tensors).every(({ interleavedHeads, path }) => interleavedHeads === undefined && path.startsWith(folder.path(name)))).to.equal(true)
      await withEngine(createEngine, packed, async engine => {
        for (const expected of hashes) expect(await hashOf(engine, expected.ids, expected.greedy.length)).to.deep.equal(expected)
      }, { threads: 1 })
    })
  }
})
