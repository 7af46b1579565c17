/**
 * What the element type of stored keys and values costs: perplexity of the
 * reference engine with them as float32, float16 and 8-bit blocks, each with
 * float32 and with 8-bit inputs of matrix products; and of the real engine,
 * which has all of profile `exact-1`. The figures are in
 * docs/adr/0001-kv-element-type.md.
 *
 *   node scripts/key-value-type.ts <model> <text file> <first window> <windows> [variants]
 *
 * Variants, separated by commas: inputs/keys and values, as in `s8/f16`, or
 * `exact-1`; all of them by default.
 */
import { readFileSync } from 'node:fs'
import { createEngine } from '../src/engine/index.ts'
import type { Engine, EngineInit, RowOutput } from '../src/engine/index.ts'
import { createReferenceEngine } from '../src/engine/reference/reference-engine.ts'
import { openModel } from '../src/model/index.ts'

const WINDOW = 512
const [path, text, first, count, variants] = process.argv.slice(2)
const model = await openModel(path)
const ids = model.tokenizer.encode(readFileSync(text, 'utf8'), { addSpecialTokens: false })
const init: EngineInit = {
  architecture: model.architecture,
  unit: index => model.unit(index),
  range: { from: 0, to: model.architecture.layerCount + 2 }
}

interface Scores { losses: number[], argmax: number[] }

/** Negative log-likelihood of every token but the first of each window, and what the model would have said. */
async function score (engine: Engine): Promise<Scores> {
  const scores: Scores = { losses: [], argmax: [] }
  for (let window = Number(first); window < Number(first) + Number(count); window++) {
    const tokens = Uint32Array.from(ids.slice(window * WINDOW, (window + 1) * WINDOW))
    const session = engine.openSession({ capacity: WINDOW })
    const outputs = [...tokens.slice(1)].map((id, row) => ({ row, output: { kind: 'score', ids: [id] } satisfies RowOutput }))
    const [{ rows }] = await engine.run([{ session, position: 0, tokens, outputs }])
    engine.closeSession(session)
    for (const { values, logSumExp, argmax } of rows!) {
      scores.losses.push(logSumExp! - values![0])
      scores.argmax.push(argmax!)
    }
  }
  return scores
}

const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length
let base: Scores | undefined

async function report (name: string, engine: Engine): Promise<void> {
  const started = performance.now()
  const scores = await score(engine)
  await engine.stop()
  base ??= scores
  const deviation = mean(scores.losses.map((loss, i) => Math.abs(loss - base!.losses[i])))
  const others = scores.argmax.filter((id, i) => id !== base!.argmax[i]).length
  console.log(`${name.padEnd(8)} perplexity ${Math.exp(mean(scores.losses)).toFixed(4)}  sum ${(mean(scores.losses) * scores.losses.length).toFixed(3)}` +
    `  mean |difference| ${deviation.toFixed(5)}  other argmax ${others} of ${scores.argmax.length}  ${((performance.now() - started) / 1000).toFixed(0)} s`)
}

console.log(`${model.name}: ${ids.length} tokens in the text, ${count} windows of ${WINDOW} from window ${first}`)
for (const activationRounding of ['f32', 's8'] as const) {
  for (const keyValueRounding of ['f32', 'f16', 's8'] as const) {
    const name = `${activationRounding}/${keyValueRounding}`
    if (wanted(name)) await report(name, await createReferenceEngine({ ...init, activationRounding, keyValueRounding }))
  }
}
if (wanted('exact-1')) await report('exact-1', await createEngine(init))

function wanted (name: string): boolean {
  return variants === undefined || variants.split(',').includes(name)
}
