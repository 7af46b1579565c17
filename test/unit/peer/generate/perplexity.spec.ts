import { expect } from 'chai'
import { InvalidOptionError, InvalidRowResultError, perplexity, TextTooShortError } from '../../../../src/peer/generate/index.ts'
import type { PerplexityProgress } from '../../../../src/peer/generate/index.ts'
import { createStubSession, hashLogits, logSumExp, order } from './stub-session.ts'

const ids = Array.from({ length: 50 }, (_, i) => (i * 37 + 11) % 300)

async function failure (promise: Promise<unknown>): Promise<Error> {
  return await promise.then(() => expect.fail('no error'), error => error)
}

describe('perplexity', function () {
  it('refuses windows that cannot be, texts shorter than one, and ids beyond the vocabulary', async function () {
    const session = createStubSession({ contextLength: 64, capacity: 20 })
    for (const options of [{ window: 1 }, { window: 21 }, { window: 2.5 }, { window: 8, windows: 0 }]) {
      expect(await failure(perplexity(session, ids, options))).to.be.instanceOf(InvalidOptionError)
    }
    expect(await failure(perplexity(session, ids.slice(0, 7), { window: 8 }))).to.be.instanceOf(TextTooShortError)
    expect(await failure(perplexity(session, [1, 2, 300, 4], { window: 4 }))).to.be.instanceOf(InvalidOptionError).with.property('option', 'ids[2]')
  })

  it('refuses answers that score something else', async function () {
    const session = createStubSession()
    const step = session.step
    session.step = async function (request, options) {
      const rows = await step.call(session, request, options)
      rows[2].ids = Uint32Array.of(0)
      return rows
    }
    expect(await failure(perplexity(session, ids, { window: 8 }))).to.be.instanceOf(InvalidRowResultError)
  })

  it('stops when aborted', async function () {
    expect(await failure(perplexity(createStubSession(), ids, { window: 8, signal: AbortSignal.abort(new Error('enough')) })))
      .to.have.property('message', 'enough')
  })

  it('scores each window alone, from its second token on', async function () {
    const progress: PerplexityProgress[] = []
    const result = await perplexity(createStubSession(), ids, { window: 12, windows: 3, onProgress: event => progress.push(event) })
    let sum = 0
    let hits = 0
    for (let start = 0; start < 36; start += 12) {
      for (let i = 1; i < 12; i++) {
        const logits = hashLogits(ids.slice(start, start + i), 300)
        sum += logSumExp(logits) - logits[ids[start + i]]
        if (order(logits)[0] === ids[start + i]) hits++
      }
    }
    expect(result.tokens).to.equal(33)
    expect(result.negativeLogLikelihood).to.be.closeTo(sum, 1e-9)
    expect(result.perplexity).to.be.closeTo(Math.exp(sum / 33), 1e-6)
    expect(result.argmaxHits).to.equal(hits)
    expect(result.windows).to.have.length(3)
    expect(progress.map(event => [event.done, event.windows, event.tokens])).to.deep.equal([[1, 3, 11], [2, 3, 22], [3, 3, 33]])
    expect(progress[2].perplexity).to.equal(result.perplexity)
  })

  it('takes all full windows where no number is given', async function () {
    expect((await perplexity(createStubSession(), ids, { window: 12 })).tokens).to.equal(44)
    expect((await perplexity(createStubSession(), ids, { window: 12, windows: 100 })).tokens).to.equal(44)
  })
})
