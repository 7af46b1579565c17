import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { createEngine } from '../../src/engine/index.ts'
import { createPackageWriter, openModel, tensorByteLength } from '../../src/model/index.ts'
import type { Model, TensorSource } from '../../src/model/index.ts'
import { connectRoute, createPeerNode } from '../../src/peer/index.ts'
import { withEngine } from '../support/engines.ts'
import { hashOf, sha256 } from '../support/golden-hashes.ts'
import type { GoldenHash } from '../support/golden-hashes.ts'
import { compressedSotuPath } from '../support/golden-models.ts'
import { randomBytesOf } from '../support/packages.ts'
import { sharedPath } from '../support/shared-data.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { killAll, promptJson, startSwarm, stop } from './cli-process.ts'

describe('a swarm of four peers on a compressed model, as processes', function () {
  this.timeout(600_000)
  const folder = temporaryFolder()
  afterEach(killAll)

  /** What a route along these addresses makes of ids, bit by bit. */
  async function hashOverRoute (model: Model, addresses: string[], ids: number[], decode: number): Promise<GoldenHash> {
    const node = createPeerNode({})
    await node.start()
    try {
      const session = await connectRoute({ node, addresses, model })
      const { vocabularySize } = model.architecture
      const logits = new Float32Array(ids.length * vocabularySize)
      const rows = await session.step({ tokens: Uint32Array.from(ids), outputs: ids.map((_, row) => ({ row, output: { kind: 'logits' } })) })
      for (const { row, logits: values } of rows) logits.set(values!, row * vocabularySize)
      await session.truncate(0)
      const greedy: number[] = []
      let tokens = Uint32Array.from(ids)
      while (greedy.length < decode) {
        const [{ ids: best }] = await session.step({ tokens, outputs: [{ row: tokens.length - 1, output: { kind: 'top', count: 1 } }] })
        greedy.push(best![0])
        tokens = Uint32Array.of(best![0])
      }
      await session.close()
      return { ids, last: sha256(logits.slice(-vocabularySize)), all: sha256(logits), greedy }
    } finally {
      await node.stop()
    }
  }

  /** Four peers give the hashes expected, and the tokens and probabilities of one peer. */
  async function agrees (path: string, prompt: string, expected: GoldenHash[]): Promise<void> {
    const model = await openModel(path, { cacheDirectory: folder.path('cache') })
    const request = ['prompt', prompt, '--model', path, '--max-tokens', '24', '--logprobs', '5']
    const one = await startSwarm('--peers', '1', '--model', path)
    const alone = await promptJson(...request, '--join', one.ready.join)
    await stop(one)
    const four = await startSwarm('--peers', '4', '--model', path)
    const answer = await promptJson(...request, '--join', four.ready.join)
    expect(answer.route).to.have.length(4)
    expect(answer.model.modelId).to.equal(model.modelId)
    expect(answer.tokenIds).to.deep.equal(alone.tokenIds)
    expect(answer.logProbabilities).to.deep.equal(alone.logProbabilities)
    for (const hash of expected) {
      expect(await hashOverRoute(model, four.ready.join.split(','), hash.ids, hash.greedy.length)).to.deep.equal(hash)
    }
    await stop(four)
  }

  it('sotu-4m as it is shipped, and its golden hashes', async () => {
    const golden: Record<string, GoldenHash[]> = JSON.parse(readFileSync(new URL('../fixtures/golden-hashes.json', import.meta.url), 'utf8'))
    await agrees(compressedSotuPath, 'Fellow-Citizens of the Senate and House of Representatives:', golden['sotu-4m-compressed'])
  })

  it('SmolLM2, with corrections of random numbers on all matrices of its layers', async function () {
    const path = sharedPath('models', 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf')
    if (path === undefined) return this.skip() // the model is not in the repository: see test/support/shared-data.ts
    const source = await openModel(path, { cacheDirectory: folder.path('cache') })
    const directory = folder.path('smollm2')
    await writeCorrected(source, directory)
    await agreesWithEngine(directory)
  })

  // compressing SmolLM2 takes minutes: docs/compression.md has the command
  it('the package that EFEDLLM_TEST_PACKAGE names', async function () {
    const path = process.env.EFEDLLM_TEST_PACKAGE
    if (path === undefined) return this.skip()
    await agreesWithEngine(path)
  })

  async function agreesWithEngine (path: string): Promise<void> {
    const model = await openModel(path, { cacheDirectory: folder.path('cache') })
    const { layerCount } = model.architecture
    expect(Array.from({ length: layerCount }, (_, i) => model.unit(i + 1)).some(({ tensors }) => Object.values(tensors).some(({ lowRank }) => lowRank !== undefined))).to.equal(true)
    const ids = model.tokenizer.encode('The theory of relativity was developed by Albert Einstein', { addSpecialTokens: false })
    const expected = await withEngine(createEngine, model, async engine => await hashOf(engine, ids, 8), { threads: 1 })
    await agrees(path, 'The theory of relativity was developed by', [expected])
  }

  /** A package with the weights of a model, and with factors of rank 8: random codes, scales that leave sense in what it says. */
  async function writeCorrected (source: Model, directory: string): Promise<void> {
    const { architecture, tokenizerData, name, generation } = source
    const writer = await createPackageWriter({ directory, architecture, tokenizer: tokenizerData, about: { name, generation } })
    const factor = (type: 'Q8_8' | 'Q8_0', shape: number[]): TensorSource => {
      const byteLength = tensorByteLength(type, shape[0] * shape[1])!
      const bytes = randomBytesOf(byteLength, byteLength).slice()
      // 2^-9 before each 8 codes, or float16 2^-14 before each 32
      for (let at = 0; at < byteLength; at += tensorByteLength(type, type === 'Q8_8' ? 8 : 32)!) bytes.set(type === 'Q8_8' ? [118] : [0, 4], at)
      return { path: folder.write(`factor-${type}-${shape.join('-')}`, bytes), offset: 0, byteLength, type, shape }
    }
    for (let unit = 0; unit < architecture.layerCount + 2; unit++) {
      const { projection, ...tensors } = source.unit(unit).tensors
      if (unit === 0 || unit > architecture.layerCount) {
        await writer.addUnit(unit, tensors)
        continue
      }
      await writer.addUnit(unit, Object.fromEntries(Object.entries(tensors).map(([role, tensor]) => {
        const [rows, columns] = tensor.shape
        return [role, columns === undefined ? tensor : { ...tensor, lowRank: { rank: 8, left: factor('Q8_8', [rows, 8]), right: factor('Q8_0', [8, columns]) } }]
      })))
    }
    await writer.finish()
  }
})
