import { expect } from 'chai'
import fc from 'fast-check'
import {
  generate, generateText, InvalidOptionError, InvalidRowResultError, PromptTooLongError
} from '../../../../src/peer/generate/index.ts'
import type { GenerationEvent, GenerationOptions } from '../../../../src/peer/generate/index.ts'
import { createStubSession, createStubTokenizer, hashLogits, logSumExp, order } from './stub-session.ts'

const tokenizer = createStubTokenizer()
const promptIds = [5, 6, 7, 8]

/** a session whose best next token is always `text`'s next character, after a prompt of 4 ids */
function scripted (text: number[], contextLength = 64): ReturnType<typeof createStubSession> {
  return createStubSession({
    contextLength,
    logits: ids => Float32Array.from({ length: 300 }, (_, id) => id === text[(ids.length - 4) % text.length] ? 9 : 0)
  })
}
const idsOf = (text: string): number[] => Array.from(text, character => character.charCodeAt(0) - 32)

describe('generate', function () {
  const invalid: Array<[string, GenerationOptions]> = [
    ['temperature', { temperature: -1 }],
    ['temperature', { temperature: NaN }],
    ['temperature', { temperature: 1e-9 }],
    ['temperature', { temperature: '1' as unknown as number }],
    ['topK', { topK: 1.5 }],
    ['topK', { topK: -1 }],
    ['topP', { topP: 0 }],
    ['topP', { topP: 1.01 }],
    ['minP', { minP: -0.1 }],
    ['minP', { minP: 2 }],
    ['repetitionPenalty', { repetitionPenalty: 0 }],
    ['presencePenalty', { presencePenalty: Infinity }],
    ['frequencyPenalty', { frequencyPenalty: 101 }],
    ['seed', { seed: -1 }],
    ['seed', { seed: 2 ** 53 }],
    ['maximumTokens', { maximumTokens: 0 }],
    ['stopTokenIds[1]', { stopTokenIds: [0, -1] }],
    ['stopStrings[0]', { stopStrings: [''] }],
    ['stopStrings[0]', { stopStrings: ['\ud800'] }],
    ['stopStrings', { stopStrings: 'abc' as unknown as string[] }],
    ['logProbabilities', { logProbabilities: 301 }]
  ]
  for (const [option, options] of invalid) {
    it(`refuses ${JSON.stringify(options)} at the call, naming ${option}`, function () {
      expect(() => generate({ session: createStubSession(), tokenizer, promptIds, options }))
        .to.throw(InvalidOptionError).with.property('option', option)
    })
  }

  it('refuses a prompt that is empty, too long or has ids beyond the vocabulary', function () {
    const session = createStubSession({ contextLength: 8, capacity: 4 })
    expect(() => generate({ session, tokenizer, promptIds: [] })).to.throw(InvalidOptionError)
    expect(() => generate({ session, tokenizer, promptIds: [1, 300] })).to.throw(InvalidOptionError).with.property('option', 'promptIds[1]')
    expect(() => generate({ session, tokenizer, promptIds: [1, 2, 3, 4] })).to.throw(PromptTooLongError)
  })

  it('passes on what a step throws and refuses answers that are none', async function () {
    const broken = createStubSession()
    broken.onStep = () => { throw new Error('stage 2 is gone') }
    await generateText({ session: broken, tokenizer, promptIds }).then(() => expect.fail('no error'), error => expect(error.message).to.equal('stage 2 is gone'))
    const silent = createStubSession()
    silent.step = async () => []
    await generateText({ session: silent, tokenizer, promptIds }).then(() => expect.fail('no error'), error => expect(error).to.be.instanceOf(InvalidRowResultError))
  })

  it('takes the best token greedily and asks for one logit', async function () {
    const session = createStubSession()
    const result = await generateText({ session, tokenizer, promptIds, options: { maximumTokens: 12 } })
    const ids = promptIds.slice()
    for (let i = 0; i < 12; i++) ids.push(order(hashLogits(ids, 300))[0])
    expect(result.tokenIds).to.deep.equal(ids.slice(4))
    expect(result.stopReason).to.equal('length')
    expect(session.outputs.every(output => output.kind === 'top' && output.count === 1)).to.equal(true)
    // the last token is not run
    expect(session.rows).to.equal(15)
    expect(result.sessionIds).to.deep.equal(ids.slice(0, 15)).and.deep.equal(session.ids)
    expect(result).to.include({ promptTokens: 4, reusedTokens: 0, extraRequests: 0, seed: undefined })
  })

  it('gives the same text wherever it is cut and continued, from a fresh session or a used one', async function () {
    const options: GenerationOptions = {
      temperature: 1.1, topP: 0.97, repetitionPenalty: 1.3, frequencyPenalty: 0.2, presencePenalty: -0.5, seed: 1234567890123
    }
    const whole = await generateText({ session: createStubSession(), tokenizer, promptIds, options: { ...options, maximumTokens: 30 } })
    const used = createStubSession()
    let sessionIds: number[] = []
    for (const cut of [1, 2, 13, 29]) {
      const first = await generateText({ session: used, tokenizer, promptIds, sessionIds, options: { ...options, maximumTokens: cut } })
      const start = [...promptIds, ...first.tokenIds]
      const fresh = await generateText({ session: createStubSession(), tokenizer, promptIds: start, options: { ...options, maximumTokens: 30 - cut } })
      const rowsBefore = used.rows
      const rest = await generateText({ session: used, tokenizer, promptIds: start, sessionIds: first.sessionIds, options: { ...options, maximumTokens: 30 - cut } })
      expect(first.tokenIds.concat(fresh.tokenIds)).to.deep.equal(whole.tokenIds)
      expect(first.tokenIds.concat(rest.tokenIds)).to.deep.equal(whole.tokenIds)
      expect(rest.reusedTokens).to.equal(start.length - 1)
      expect(used.rows - rowsBefore).to.equal(30 - cut + rest.extraRequests)
      sessionIds = rest.sessionIds
    }
    const other = await generateText({ session: createStubSession(), tokenizer, promptIds, options: { ...options, seed: 1, maximumTokens: 30 } })
    expect(other.tokenIds).to.not.deep.equal(whole.tokenIds)
  })

  it('draws the same text whatever was asked for first, asking again where needed', async function () {
    let extraRequests = 0
    await fc.assert(fc.asyncProperty(fc.record({
      temperature: fc.constantFrom(0, 0.7, 1, 2),
      topK: fc.constantFrom(0, 300, 5000),
      topP: fc.constantFrom(0.5, 0.99, 1),
      presencePenalty: fc.constantFrom(-2, 0, 1),
      seed: fc.nat()
    }), async options => {
      const run = async (logProbabilities: number | undefined): Promise<number[]> => {
        const session = createStubSession({ vocabularySize: 6000, scale: 4 })
        const result = await generateText({ session, tokenizer, promptIds, options: { ...options, maximumTokens: 4, logProbabilities } })
        extraRequests += result.extraRequests
        // asking again runs the last row again and nothing else
        expect(session.rows).to.equal(7 + result.extraRequests)
        return result.tokenIds
      }
      expect(await run(1024)).to.deep.equal(await run(undefined))
    }), { numRuns: 25, seed: 4 })
    expect(extraRequests).to.be.above(10)
  })

  it('reuses the common prefix and computes the rest', async function () {
    const session = createStubSession()
    const first = await generateText({ session, tokenizer, promptIds, options: { maximumTokens: 5 } })
    const history = [...promptIds, ...first.tokenIds.slice(0, 2), 299, 298]
    session.steps.length = 0
    const second = await generateText({ session, tokenizer, promptIds: history, sessionIds: first.sessionIds, options: { maximumTokens: 1 } })
    const fresh = await generateText({ session: createStubSession(), tokenizer, promptIds: history, options: { maximumTokens: 1 } })
    expect(second.tokenIds).to.deep.equal(fresh.tokenIds)
    expect(second.reusedTokens).to.equal(6)
    expect(session.steps).to.deep.equal([{ position: 6, tokens: [299, 298] }])
    // a session of unknown content starts afresh
    const third = await generateText({ session, tokenizer, promptIds: history, options: { maximumTokens: 1 } })
    expect(third.tokenIds).to.deep.equal(fresh.tokenIds)
    expect(third.reusedTokens).to.equal(0)
  })

  it('goes on from what a session says that it holds', async () => {
    const session = createStubSession()
    await session.step({ tokens: Uint32Array.of(1, 2, 3, 4) })
    const heldIds = session.ids
    const result = await generateText({ session: Object.assign(session, { heldIds }), tokenizer, promptIds: [1, 2, 9, 8], options: { maximumTokens: 2 } })
    expect([result.reusedTokens, session.steps[1]]).to.deep.equal([2, { position: 2, tokens: [9, 8] }])
    const fresh = await generateText({ session: createStubSession(), tokenizer, promptIds: [1, 2, 9, 8], options: { maximumTokens: 2 } })
    expect(result.tokenIds).to.deep.equal(fresh.tokenIds)
  })

  it('stops at a stop token, which is in tokenIds and not in the text', async function () {
    const result = await generateText({ session: scripted(idsOf('abc')), tokenizer, promptIds, options: { stopTokenIds: idsOf('c') } })
    expect(result).to.include({ text: 'ab', stopReason: 'stop-token' })
    expect(result.tokenIds).to.deep.equal(idsOf('abc'))
  })

  it('stops at a stop string over token boundaries and never emits it', async function () {
    const events: GenerationEvent[] = []
    const result = await generateText({
      session: scripted(idsOf('say END. ENDING')), tokenizer, promptIds, options: { stopStrings: ['ENDI', 'unseen'] }
    }, event => events.push(event))
    expect(result).to.include({ text: 'say END. ', stopReason: 'stop-string', stopString: 'ENDI' })
    expect(result.tokenIds).to.deep.equal(idsOf('say END. ENDI'))
    const texts = events.flatMap(event => event.type === 'text' ? [event.text] : [])
    expect(texts).to.deep.equal(['s', 'a', 'y', ' ', 'END.', ' '])
  })

  it('emits what it held back when the text ends otherwise', async function () {
    const result = await generateText({ session: scripted(idsOf('abEND')), tokenizer, promptIds, options: { stopStrings: ['ENDING'], maximumTokens: 4 } })
    expect(result).to.include({ text: 'abEN', stopReason: 'length' })
    const half = await generateText({ session: scripted([...idsOf('ab'), 299]), tokenizer, promptIds, options: { maximumTokens: 3 } })
    expect(half.text).to.equal('ab�')
  })

  it('stops where the context or the capacity of the session ends', async function () {
    const result = await generateText({ session: createStubSession({ contextLength: 16 }), tokenizer, promptIds })
    expect([result.stopReason, result.tokenIds.length]).to.deep.equal(['context', 12])
    const small = await generateText({ session: createStubSession({ capacity: 5 }), tokenizer, promptIds })
    expect([small.stopReason, small.tokenIds.length]).to.deep.equal(['context', 1])
  })

  it('ends with what it has when aborted before, between and in steps', async function () {
    const before = await generateText({ session: createStubSession(), tokenizer, promptIds, signal: AbortSignal.abort() })
    expect([before.stopReason, before.tokenIds, before.sessionIds]).to.deep.equal(['aborted', [], []])

    const controller = new AbortController()
    const session = createStubSession()
    const between = await generateText({ session, tokenizer, promptIds, signal: controller.signal }, event => {
      if (event.type === 'token' && event.position === 6) controller.abort()
    })
    expect([between.stopReason, between.tokenIds.length]).to.deep.equal(['aborted', 3])
    expect(between.sessionIds).to.deep.equal(session.ids)

    const inStep = new AbortController()
    const stepping = createStubSession()
    stepping.onStep = count => { if (count === 3) inStep.abort() }
    const within = await generateText({ session: stepping, tokenizer, promptIds, signal: inStep.signal })
    expect([within.stopReason, within.tokenIds.length]).to.deep.equal(['aborted', 2])
    expect(within.sessionIds).to.deep.equal(stepping.ids)
  })

  it('gives log-probabilities of the distribution before penalties and temperature', async function () {
    const events: GenerationEvent[] = []
    const session = createStubSession({ vocabularySize: 6000, scale: 1 })
    await generateText({
      session, tokenizer, promptIds, options: { temperature: 3, presencePenalty: 1, seed: 2, logProbabilities: 2, maximumTokens: 3 }
    }, event => events.push(event))
    const ids = promptIds.slice()
    let tokens = 0
    for (const event of events) {
      if (event.type !== 'token') continue
      tokens++
      const logits = hashLogits(ids, 6000, 1)
      const all = logSumExp(logits)
      expect(event.position).to.equal(ids.length)
      expect(event.logProbability).to.equal(logits[event.id] - all)
      expect(event.top).to.deep.equal(order(logits).slice(0, 2).map(id => ({ id, logProbability: logits[id] - all })))
      ids.push(event.id)
    }
    expect(tokens).to.equal(3)
    // the flat distribution needs all logits, which come without their sum
    expect(session.outputs.some(output => output.kind === 'logits')).to.equal(true)
  })

  it('says which seed it drew with, and that seed draws the text again', async function () {
    const options: GenerationOptions = { temperature: 1, maximumTokens: 10 }
    const first = await generateText({ session: createStubSession(), tokenizer, promptIds, options })
    expect(first.seed).to.be.a('number')
    const again = await generateText({ session: createStubSession(), tokenizer, promptIds, options: { ...options, seed: first.seed } })
    expect(again.tokenIds).to.deep.equal(first.tokenIds)
  })

  it('gives events in order, and the texts make the result', async function () {
    const events: GenerationEvent[] = []
    const result = await generateText({ session: scripted(idsOf('abc')), tokenizer, promptIds, options: { maximumTokens: 2 } }, event => events.push(event))
    expect(events.map(event => event.type)).to.deep.equal(['prompt', 'token', 'text', 'token', 'text'])
    expect(result.text).to.equal('ab')
    const { timings } = result
    expect(timings.firstTokenMilliseconds).to.be.at.least(timings.promptMilliseconds)
    expect(timings.decodeMilliseconds).to.be.at.least(0)
  })
})
