import { expect } from 'chai'
import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { ANSWER_CAP, BLOCK_FRAME, BlockKind, BlockStatus, decodeBlockAnswer, decodeBlockRequest, encodeBlockAnswer, encodeBlockRequest, REQUEST_CAP } from '../../../src/peer/blocks/codec.ts'
import type { BlockAnswer, BlockRequest } from '../../../src/peer/blocks/codec.ts'
import { createRateLimit } from '../../../src/peer/blocks/rate-limit.ts'
import { createTaskQueue } from '../../../src/peer/blocks/task-queue.ts'
import { FrameError, FrameVersionError } from '../../../src/peer/errors.ts'
import { createFramer } from '../../../src/peer/wire/index.ts'

const golden = JSON.parse(readFileSync(new URL('../../fixtures/protocol/blocks.json', import.meta.url), 'utf8')) as Record<string, string>
const hash = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f'

const requests: Record<string, BlockRequest> = {
  'request, manifest': { kind: BlockKind.manifest, number: 1, hash, index: 0 },
  'request, header': { kind: BlockKind.header, number: 2, hash, index: 0 },
  'request, block': { kind: BlockKind.block, number: 0x01020304, hash, index: 70000 }
}
const answers: Record<string, BlockAnswer> = {
  'answer, block': { kind: BlockKind.block, number: 0x01020304, status: BlockStatus.here, payload: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9) },
  'answer, not here': { kind: BlockKind.header, number: 2, status: BlockStatus.notHere, payload: new Uint8Array(0) },
  'answer, busy': { kind: BlockKind.manifest, number: 1, status: BlockStatus.busy, payload: new Uint8Array(0) }
}

const plain = (answer: BlockAnswer): unknown => ({ ...answer, payload: [...answer.payload] })
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

describe('blocks: codec', function () {
  const requestBad: Array<[string, (bytes: Buffer) => Buffer, string]> = [
    ['a short one', bytes => bytes.subarray(0, 40), 'length'],
    ['none at all', bytes => bytes.subarray(0, 8), 'header'],
    ['another version', bytes => { bytes[4] = 2; return bytes }, 'version'],
    ['an unknown kind', bytes => { bytes[5] = 4; return bytes }, 'kind'],
    ['an answer', bytes => { bytes[5] |= 0x80; return bytes }, 'kind'],
    ['a reserved bit', bytes => { bytes[7] = 1; return bytes }, 'reserved field'],
    ['another length inside', bytes => { bytes[0] = 40; return bytes }, 'length'],
    ['an index for a header', bytes => { bytes[5] = BlockKind.header; return bytes }, 'index']
  ]
  for (const [what, change, field] of requestBad) {
    it(`refuses as a request ${what}`, function () {
      expect(() => decodeBlockRequest(change(Buffer.from(encodeBlockRequest(requests['request, block']))))).to.throw(FrameError).with.property('field', field)
    })
  }

  const answerBad: Array<[string, (bytes: Buffer) => Buffer, string]> = [
    ['a request', bytes => { bytes[5] &= 0x7f; return bytes }, 'kind'],
    ['an unknown status', bytes => { bytes[6] = 3; return bytes }, 'status'],
    ['bytes of what is not here', bytes => { bytes[6] = 1; return bytes }, 'payload'],
    ['nothing of what is here', bytes => { bytes.writeUInt32LE(0, 12); return bytes }, 'payload'],
    ['more than a block', bytes => { bytes.writeUInt32LE(262_145, 12); return bytes }, 'payload'],
    ['another length', bytes => { bytes.writeUInt32LE(17, 12); return bytes }, 'length'],
    ['padding that is not', bytes => { bytes[31] = 1; return bytes }, 'padding']
  ]
  for (const [what, change, field] of answerBad) {
    it(`refuses as an answer ${what}`, function () {
      expect(() => decodeBlockAnswer(change(Buffer.from(encodeBlockAnswer(answers['answer, block']))))).to.throw(FrameError).with.property('field', field)
    })
  }

  it('has golden bytes', function () {
    for (const [name, request] of Object.entries(requests)) {
      expect(hex(encodeBlockRequest(request)), name).to.equal(golden[name])
      expect(decodeBlockRequest(Buffer.from(golden[name], 'hex'))).to.deep.equal(request)
    }
    for (const [name, answer] of Object.entries(answers)) {
      expect(hex(encodeBlockAnswer(answer)), name).to.equal(golden[name])
      expect(plain(decodeBlockAnswer(Buffer.from(golden[name], 'hex')))).to.deep.equal(plain(answer))
    }
  })

  it('gives back what was put in, however the stream is cut', function () {
    fc.assert(fc.property(
      fc.array(fc.record({ kind: fc.constantFrom(...Object.values(BlockKind)), number: fc.integer({ min: 0, max: 0xffffffff }), payload: fc.uint8Array({ maxLength: 100 }) }), { maxLength: 5 }),
      fc.integer({ min: 1, max: 50 }),
      (list, step) => {
        const sent = list.map(({ payload, ...rest }): BlockAnswer => ({ ...rest, payload, status: payload.length > 0 ? BlockStatus.here : BlockStatus.notHere }))
        const bytes = Buffer.concat(sent.map(encodeBlockAnswer))
        const received: unknown[] = []
        const framer = createFramer(ANSWER_CAP, frame => received.push(plain(decodeBlockAnswer(frame))), BLOCK_FRAME)
        for (let at = 0; at < bytes.length; at += step) framer.push(bytes.subarray(at, at + step))
        expect(received).to.deep.equal(sent.map(plain))
      }))
  })

  it('reserves nothing for a message that is too long', function () {
    const long = Buffer.from(encodeBlockRequest(requests['request, block']))
    long.writeUInt32LE(1 << 30, 0)
    const framer = createFramer(REQUEST_CAP, () => {}, BLOCK_FRAME)
    expect(() => framer.push(long)).to.throw(FrameError, 'allowed')
    const other = Buffer.from(encodeBlockRequest(requests['request, block']))
    other[4] = 9
    expect(() => createFramer(REQUEST_CAP, () => {}, BLOCK_FRAME).push(other)).to.throw(FrameVersionError)
  })

  it('ends 10000 mutated messages in a FrameError or a valid message', function () {
    let refused = 0
    fc.assert(fc.property(fc.constantFrom(...Object.values(golden)), fc.array(fc.tuple(fc.nat(63), fc.nat(255)), { minLength: 1, maxLength: 3 }), fc.nat(3), (text, changes, cut) => {
      const bytes = Buffer.from(text, 'hex')
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
      for (const decode of [decodeBlockAnswer, decodeBlockRequest]) {
        try {
          decode(bytes.subarray(0, bytes.length - (cut === 3 ? 8 : 0)))
        } catch (error) {
          expect(error).to.be.instanceOf(FrameError)
          refused++
        }
      }
    }), { numRuns: 10_000, seed: 3 })
    expect(refused).to.be.above(10_000)
  })
})

describe('blocks: rate limit', function () {
  it('lets a second\'s worth pass at once, and then holds the rate', function () {
    const limit = createRateLimit(1000)
    expect([limit.take(600, 0), limit.take(600, 0), limit.take(600, 0)]).to.deep.equal([0, 0, 200])
    // 800 in debt: after one second they are paid, and 200 are left
    expect(limit.take(100, 1000)).to.equal(0)
    expect(limit.take(5000, 1000)).to.equal(0)
    expect(limit.take(1, 2000)).to.be.closeTo(3900, 1e-6)
  })

  it('never lets more through than burst, rate and one message', function () {
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(3000), fc.nat(500)), { maxLength: 60 }), messages => {
      const limit = createRateLimit(1000)
      let now = 0
      let sent = 0
      for (const [bytes, later] of messages) {
        now += later
        now += limit.take(bytes, now)
        sent += bytes
        expect(sent).to.be.at.most(1000 + now + 3000 + 1e-6)
      }
    }))
  })
})

describe('blocks: tasks', function () {
  const task = (hash: string) => ({ hash })

  it('go to who may have them, come back, and end', function () {
    const queue = createTaskQueue([task('a'), task('b')])
    const lacksA = new Set(['a'])
    expect(queue.take(lacksA)).to.deep.equal(task('b'))
    expect(queue.take(lacksA)).to.equal(undefined)
    const a = queue.take(new Set())!
    expect(queue.finished).to.equal(false)
    queue.putBack(a)
    expect(queue.hopeless([lacksA])).to.equal('a')
    expect(queue.hopeless([lacksA, new Set()])).to.equal(undefined)
    expect(queue.hopeless([])).to.equal('a')
    queue.done(task('b'))
    queue.done(queue.take(new Set())!)
    expect(queue.finished).to.equal(true)
  })

  it('wake those who wait', async function () {
    const queue = createTaskQueue([task('a')])
    const a = queue.take(new Set())!
    const waiting = queue.changed()
    queue.putBack(a)
    await waiting
  })
})
