import { expect } from 'chai'
import fc from 'fast-check'
import { KeyValueBudgetError } from '../../src/engine/index.ts'
import { createWasmEngine } from '../../src/engine/wasm/engine.ts'
import { openNamed } from '../support/golden-models.ts'
import { wholeModel } from '../support/open-weights.ts'
import { randomIds } from '../support/random-weights.ts'
import type { Engine } from '../../src/engine/index.ts'
import type { Weights } from '../support/open-weights.ts'

/** Positions in a page of the real engine, and pages of its budget here: few, so that they are used again and again. */
const PAGE = 256
const PAGES = 6

/** Longer contexts than some of the models were made for: only the bits matter. */
function open (name: string): Weights {
  const weights = openNamed(name)!
  return { ...weights, architecture: { ...weights.architecture, contextLength: 3 * PAGE } }
}

const which = fc.integer({ min: 0, max: 59 })
const operation = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('open' as const), source: which, share: fc.constantFrom(0, 0.4, 0.7, 1, 1), capacity: fc.constantFrom(0, 0, 300) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('run' as const),
      items: fc.array(fc.record({ session: which, back: fc.constantFrom(0, 0, 0, 1, 40, 300), rows: fc.constantFrom(1, 1, 3, 33, 130, 270) }), { minLength: 1, maxLength: 4 })
    })
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('truncate' as const), session: which, back: fc.constantFrom(1, 31, 200, 600) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('close' as const), session: which }) }
)
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never

describe('exactness of sessions on shared, truncated and reused pages', function () {
  this.timeout(120_000)

  for (const name of ['llama', 'qwen2', 'qwen3', 'random-q8_0-mixed-windows']) {
    it(`${name}: gives the bits of a fresh session run alone, whatever was opened, shared, run, truncated and closed before`, async () => {
      const weights = open(name)
      const { vocabularySize, contextLength } = weights.architecture
      // every unit in a memory of its own: a page is copied in each
      const engine = await createWasmEngine({ ...wholeModel(weights), threads: 2, keyValuePositions: PAGES * PAGE, arenaBytes: 1 })
      const reference = await createWasmEngine({ ...wholeModel(weights), threads: 1, keyValuePositions: contextLength })
      const counts = { shared: 0, refused: 0, compared: 0 }
      try {
        await fc.assert(fc.asyncProperty(fc.array(operation, { minLength: 8, maxLength: 24, size: 'max' }), async operations => {
          const sessions: Array<{ id: number, ids: number[] }> = []
          for (const [turn, step] of operations.entries()) await apply(step, turn, sessions)
          for (const { id } of sessions) engine.closeSession(id)
          expect(engine.freePositions).to.equal(PAGES * PAGE)
        }), { seed: 11, numRuns: 25 })
      } finally {
        await engine.stop()
        await reference.stop()
      }
      expect(counts.shared, 'sessions with a prefix').to.be.above(10)
      expect(counts.refused, 'steps without room').to.be.above(3)
      expect(counts.compared, 'rows compared').to.be.above(50)

      async function apply (step: Operation, turn: number, sessions: Array<{ id: number, ids: number[] }>): Promise<void> {
        const pick = (index: number) => sessions[index % (sessions.length || 1)] as typeof sessions[number] | undefined
        if (step.kind === 'open') {
          const source = pick(step.source)
          const length = Math.floor((source?.ids.length ?? 0) * step.share)
          try {
            const id = engine.openSession({ capacity: step.capacity, prefix: source === undefined ? undefined : { session: source.id, length } })
            sessions.push({ id, ids: source?.ids.slice(0, length) ?? [] })
            if (length > 0) counts.shared++
          } catch (error) {
            expect(error).to.be.instanceOf(KeyValueBudgetError)
          }
        } else if (step.kind === 'truncate') {
          const session = pick(step.session)
          if (session === undefined) return
          session.ids.length = Math.max(0, session.ids.length - step.back)
          engine.truncate(session.id, session.ids.length)
        } else if (step.kind === 'close') {
          const session = pick(step.session)
          if (session === undefined) return
          sessions.splice(sessions.indexOf(session), 1)
          engine.closeSession(session.id)
        } else {
          await run(step, turn, sessions)
        }
      }

      async function run (step: Operation & { kind: 'run' }, turn: number, sessions: Array<{ id: number, ids: number[] }>): Promise<void> {
        const chosen = new Map(step.items.flatMap(({ session, back, rows }, index) => {
          const one = sessions[session % (sessions.length || 1)]
          if (one === undefined) return []
          const position = Math.max(0, one.ids.length - back)
          const tokens = randomIds(Math.min(rows, contextLength - position), vocabularySize, 100 * turn + index + 1)
          return tokens.length === 0 ? [] : [[one, { session: one.id, position, tokens, outputs: [{ row: tokens.length - 1, output: { kind: 'logits' as const } }] }]]
        }))
        if (chosen.size === 0) return
        let results
        try {
          results = await engine.run([...chosen.values()])
        } catch (error) {
          expect(error).to.be.instanceOf(KeyValueBudgetError)
          for (const { id, ids } of sessions) expect(engine.sessionLength(id)).to.equal(ids.length)
          counts.refused++
          return
        }
        for (const [index, [session, { position, tokens }]] of [...chosen].entries()) {
          session.ids = [...session.ids.slice(0, position), ...tokens]
          expect(engine.sessionLength(session.id)).to.equal(session.ids.length)
          expect(results[index].rows![0].logits).to.deep.equal(await alone(reference, session.ids))
          counts.compared++
        }
      }
    })
  }
})

/** Logits of the last of the ids, in a session of its own. */
async function alone (engine: Engine, ids: number[]): Promise<Float32Array> {
  const session = engine.openSession()
  const [{ rows }] = await engine.run([{ session, position: 0, tokens: Uint32Array.from(ids), outputs: [{ row: ids.length - 1, output: { kind: 'logits' } }] }])
  engine.closeSession(session)
  return rows![0].logits!
}
