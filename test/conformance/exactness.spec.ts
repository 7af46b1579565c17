import { expect } from 'chai'
import { createHash } from 'node:crypto'
import { createEngine } from '../../src/engine/index.ts'
import { createWasmEngine } from '../../src/engine/wasm/engine.ts'
import { closeChain, openChain, runChain } from '../support/chain.ts'
import { allLogits } from '../support/engines.ts'
import { GOLDEN_DIRECTORIES, GOLDEN_FILES, openNamed, RANDOM_MODELS } from '../support/golden-models.ts'
import { openWeights, wholeModel } from '../support/open-weights.ts'
import { sharedPath } from '../support/shared-data.ts'
import type { Engine, EngineInit } from '../../src/engine/index.ts'
import type { Weights } from '../support/open-weights.ts'

const SMOLLM2 = 'SmolLM2-135M-Instruct'
const names = [...GOLDEN_DIRECTORIES, ...GOLDEN_FILES, ...Object.keys(RANDOM_MODELS), 'sotu-4m', 'sotu-4m-compressed', SMOLLM2]

function open (name: string): Weights | undefined {
  if (name !== SMOLLM2) return openNamed(name)
  const path = sharedPath('models', 'smollm2-135m-instruct', `${SMOLLM2}.Q4_1.gguf`)
  return path === undefined ? undefined : openWeights(path)
}

/** A fixed text of ids, another for every seed. */
function ids (count: number, vocabulary: number, seed = 1): Uint32Array {
  let state = seed * 2654435761 >>> 0
  return Uint32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state % vocabulary
  })
}

/** SHA-256 of the logits bits of every position. */
async function digest (engines: Engine[], tokens: Uint32Array, chunk = tokens.length): Promise<string> {
  const hash = createHash('sha256')
  const session = openChain(engines)
  for (let position = 0; position < tokens.length; position += chunk) {
    const part = tokens.subarray(position, position + chunk)
    const [result] = await runChain(engines, [{ session, position, tokens: part, outputs: allLogits(part.length) }])
    for (const { logits } of result.rows!) hash.update(new Uint8Array(logits!.buffer))
  }
  closeChain(engines, session)
  return hash.digest('hex')
}

async function using<T> (inits: Array<Partial<EngineInit>>, weights: Weights, use: (engines: Engine[]) => Promise<T>): Promise<T> {
  const engines: Engine[] = []
  try {
    for (const init of inits) engines.push(await createEngine({ ...wholeModel(weights), threads: 1, keyValuePositions: 2560, variant: 'plain', ...init }))
    return await use(engines)
  } finally {
    for (const engine of engines) await engine.stop()
  }
}

describe('exactness of the engine', function () {
  this.timeout(300_000)

  for (const name of names) {
    describe(name, function () {
      let weights: Weights
      let tokens: Uint32Array
      let expected: string

      before(async function () {
        const opened = open(name)
        if (opened === undefined) {
          console.log(`      ${name} is not on this machine`)
          this.skip()
        }
        weights = opened
        tokens = ids(name === SMOLLM2 ? 70 : 130, weights.architecture.vocabularySize)
        expected = await using([{}], weights, async engines => await digest(engines, tokens))
      })

      for (const variant of ['relaxed-i16', 'relaxed-i32', 'plain'] as const) {
        for (const threads of [1, 2, 3]) {
          if (variant === 'plain' && threads === 1) continue
          it(`gives the same bits with ${threads} thread(s) of ${variant} kernels`, async function () {
            const actual = await using([{ variant, threads }], weights, async engines => await digest(engines, tokens))
            expect(actual).to.equal(expected)
          })
        }
      }

      it('gives the same bits in chunks of 1, 7, 32, 64', async function () {
        await using([{ variant: undefined, threads: 2 }], weights, async engines => {
          for (const chunk of [1, 7, 32, 64]) expect(await digest(engines, tokens, chunk), `chunks of ${chunk}`).to.equal(expected)
        })
      })

      it('gives the same bits however the units are cut', async function () {
        const { layerCount } = weights.architecture
        const last = layerCount + 2
        const cuts = [[1], [1 + (layerCount >> 1)], [layerCount + 1], Array.from({ length: layerCount + 1 }, (_, i) => i + 1)]
        for (const cut of name === SMOLLM2 ? cuts.slice(0, 3) : cuts) {
          const borders = [0, ...cut, last]
          const inits = borders.slice(1).map((to, i) => ({ range: { from: borders[i], to } }))
          const actual = await using(inits, weights, async engines => await digest(engines, tokens))
          expect(actual, `cut at ${cut.join(', ')}`).to.equal(expected)
        }
      })

      it('gives the same bits where the units lie in several memories', async function () {
        const engine = await createWasmEngine({ ...wholeModel(weights), threads: 2, keyValuePositions: 2560, arenaBytes: 1 })
        try {
          expect(await digest([engine], tokens.subarray(0, 40), 16)).to.equal(
            await using([{}], weights, async engines => await digest(engines, tokens.subarray(0, 40))))
        } finally {
          await engine.stop()
        }
      })

      it('gives the same bits in batches of 1 to 16 sessions of mixed prefill and decode', async function () {
        await using([{ threads: 2, variant: undefined, keyValuePositions: 5120 }], weights, async engines => {
          for (const count of [1, 2, 5, 16]) {
            const texts = Array.from({ length: count }, (_, i) => ids(20 + 3 * i, weights.architecture.vocabularySize, i + 2))
            const alone = await Promise.all(texts.map(async text => await digest(engines, text)))
            const sessions = texts.map(() => openChain(engines))
            const hashes = texts.map(() => createHash('sha256'))
            const positions = texts.map(() => 0)
            for (let round = 0; positions.some((position, i) => position < texts[i].length); round++) {
              // some sessions prefill several rows in this round while others decode one
              const batch = texts.flatMap((text, i) => {
                const rows = (round + i) % 3 === 0 ? 9 : 1
                const part = text.subarray(positions[i], positions[i] + rows)
                return part.length === 0 ? [] : [{ i, session: sessions[i], position: positions[i], tokens: part, outputs: allLogits(part.length) }]
              })
              const results = await runChain(engines, batch)
              for (const [j, { i, tokens }] of batch.entries()) {
                positions[i] += tokens.length
                for (const { logits } of results[j].rows!) hashes[i].update(new Uint8Array(logits!.buffer))
              }
            }
            for (const session of sessions) closeChain(engines, session)
            expect(hashes.map(hash => hash.digest('hex')), `${count} sessions`).to.deep.equal(alone)
          }
        })
      })

      it('gives the same bits after truncation and continuation, on pages that others used', async function () {
        await using([{ threads: 2, variant: undefined }], weights, async engines => {
          const [engine] = engines
          const other = ids(100, weights.architecture.vocabularySize, 99)
          await digest(engines, other)
          const session = engine.openSession()
          await engine.run([{ session, position: 0, tokens: other.subarray(0, 90) }])
          engine.truncate(session, 5)
          await engine.run([{ session, position: 0, tokens: tokens.subarray(0, 41) }])
          // overwritten by a step that starts before the end, without a call to truncate
          await engine.run([{ session, position: 37, tokens: other.subarray(0, 20) }])
          const hash = createHash('sha256')
          const [rest] = await engine.run([{ session, position: 37, tokens: tokens.subarray(37), outputs: allLogits(tokens.length - 37) }])
          for (const { logits } of rest.rows!) hash.update(new Uint8Array(logits!.buffer))
          engine.closeSession(session)

          const whole = createHash('sha256')
          const fresh = engine.openSession()
          const [result] = await engine.run([{ session: fresh, position: 0, tokens, outputs: allLogits(tokens.length) }])
          for (const { row, logits } of result.rows!) if (row >= 37) whole.update(new Uint8Array(logits!.buffer))
          expect(hash.digest('hex')).to.equal(whole.digest('hex'))
        })
      })
    })
  }
})
