import { expect } from 'chai'
import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { decodeFrame, encodeFrame, ErrorCode, Kind, encodeError, encodeOpen, encodeOpened, encodeProbed, encodeName, decodeName, encodeStatement, decodeError, decodeOpen, decodeOpened, decodeProbed, decodeSigned, decodeStatement, encodeSigned, decodeInfo, decodeLeaving, encodeInfo, encodeLeaving, createFramer, decodeNonce, decodeGive, decodeTake, decodeTaken, encodeGive, encodeTake, encodeTaken, StatementDomain } from '../../../src/peer/wire/index.ts'
import type { Frame, FrameInit } from '../../../src/peer/wire/index.ts'
import { FrameError } from '../../../src/peer/errors.ts'

const golden = JSON.parse(readFileSync(new URL('../../fixtures/protocol/golden.json', import.meta.url), 'utf8')) as Record<string, string>
const session = '000102030405060708090a0b0c0d0e0f'

/** Examples of every payload kind; their bytes are in the fixture. */
const examples: Record<string, FrameInit> = {
  'step, token ids': { kind: Kind.step, session, epoch: 1, sequence: 7, position: 5, rows: 3, tokens: Uint32Array.of(1, 2, 70000), outputs: [{ row: 1, output: { kind: 'top', count: 40 } }, { row: 2, output: { kind: 'score', ids: [9, 8] } }], deadline: 54000 },
  'step, hidden state': { kind: Kind.step, session, epoch: 2, sequence: 8, position: 0, rows: 1, hidden: Float32Array.of(1, -0.5, 3.25), outputs: [{ row: 0, output: { kind: 'logits' } }], deadline: 1, spans: [1.5, 0.25, 2] },
  'answer, results': {
    kind: Kind.answer,
    session,
    epoch: 1,
    sequence: 9,
    position: 4,
    rows: 4,
    more: true,
    spans: [0.5],
    results: [
      { row: 0, ids: Uint32Array.of(5, 3), values: Float32Array.of(2, 1.5), logSumExp: 2.75 },
      { row: 2, logits: Float32Array.of(1, 2, 3) },
      { row: 3, ids: Uint32Array.of(4), values: Float32Array.of(-1), logSumExp: 1.125, argmax: 6 }
    ]
  },
  'answer, acknowledgement': { kind: Kind.answer, session, epoch: 1, sequence: 10, position: 64, rows: 64 },
  truncate: { kind: Kind.truncate, session, epoch: 1, sequence: 11, position: 12 },
  open: { kind: Kind.open, session, epoch: 1, sequence: 1, deadline: 15000, record: encodeOpen({ modelId: 'ab'.repeat(32), range: { from: 2, to: 4 }, stage: 2, stages: 3, capacity: 2048, upstream: '12D3KooWupstream', downstream: '12D3KooWdownstream', prefix: ['0f'.repeat(16), 'f0'.repeat(16)] }) },
  error: { kind: Kind.error, session, epoch: 1, sequence: 7, record: encodeError({ code: ErrorCode.peerLost, retryable: true, sessionLost: true, stage: 3, peer: '12D3KooWlost', message: 'stage 2 lost the connection to it' }) },
  name: { kind: Kind.name, session, epoch: 1, sequence: 12, record: encodeName({ first: 2, names: ['1e'.repeat(16)] }) },
  'step of a replay': { kind: Kind.step, session, epoch: 3, sequence: 13, position: 32, rows: 2, hidden: Float32Array.of(0.5, 1), deadline: 9000, spans: [1], until: 4 },
  replay: { kind: Kind.replay, session, epoch: 3, sequence: 14, position: 64, rows: 48, deadline: 9000, until: 5 },
  replayed: { kind: Kind.replayed, session, epoch: 3, sequence: 14, position: 64, rows: 48, spans: [2, 0.5] },
  leaving: { kind: Kind.leaving, session, epoch: 3, sequence: 0, record: encodeLeaving({ milliseconds: 30_000 }) },
  give: { kind: Kind.give, session, epoch: 3, sequence: 15, record: encodeGive({ nonce: new Uint8Array(16).fill(7), epoch: 4, heir: '12D3KooWheir', range: { from: 3, to: 6 } }) },
  take: { kind: Kind.take, session, epoch: 4, sequence: 16, position: 512, deadline: 9000, record: encodeTake({ to: 2048, statement: Uint8Array.of(1, 2, 3), signature: Uint8Array.of(4, 5) }) },
  taken: { kind: Kind.taken, session, epoch: 4, sequence: 16, record: encodeTaken({ milliseconds: 12.5, bytesPerSecond: 1e8 }) },
  fetch: { kind: Kind.fetch, session, epoch: 4, sequence: 1, position: 512, rows: 2 },
  'keys and values': { kind: Kind.keyValues, session, epoch: 4, sequence: 1, position: 512, rows: 2, record: Uint8Array.of(1, 2, 3, 4, 5, 6) }
}

function plain (frame: Frame | FrameInit): unknown {
  const { kind, session, epoch, sequence, position = 0, rows = 0, tokens, hidden, results, record, more = false, outputs = [], deadline = 0, spans = [], until = 0 } = frame
  return { kind, session, epoch, sequence, position, rows, tokens, hidden, results, record: record === undefined ? undefined : Uint8Array.from(record), more, outputs, deadline, spans: [...spans], until }
}

const u32 = fc.integer({ min: 0, max: 0xffffffff })
const float = fc.float({ noNaN: true })
const hexSession = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(bytes => Buffer.from(bytes).toString('hex'))
const output = fc.oneof(
  fc.record({ kind: fc.constant('top' as const), count: fc.integer({ min: 1, max: 4096 }) }),
  fc.record({ kind: fc.constant('logits' as const) }),
  fc.record({ kind: fc.constant('score' as const), ids: fc.array(u32, { maxLength: 5 }) })
)
const some = <T>(rows: number, item: fc.Arbitrary<T>): fc.Arbitrary<Array<[number, T]>> =>
  fc.uniqueArray(fc.tuple(fc.integer({ min: 0, max: rows - 1 }), item), { selector: entry => entry[0], maxLength: 4 }).map(list => list.sort((a, b) => a[0] - b[0]))
const spans = fc.array(fc.float({ min: 0, max: 1e9, noNaN: true }).map(value => Math.abs(value)), { maxLength: 5 })
const step = fc.integer({ min: 1, max: 20 }).chain(rows => fc.record({
  kind: fc.constant(Kind.step),
  session: hexSession,
  epoch: u32,
  sequence: u32,
  position: u32,
  rows: fc.constant(rows),
  deadline: u32,
  spans,
  outputs: some(rows, output).map(list => list.map(([row, output]) => ({ row, output }))),
  until: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 512 })),
  payload: fc.oneof(
    fc.array(u32, { minLength: rows, maxLength: rows }).map(list => ({ tokens: Uint32Array.from(list) })),
    fc.integer({ min: 1, max: 9 }).chain(width => fc.array(float, { minLength: rows * width, maxLength: rows * width })).map(list => ({ hidden: Float32Array.from(list) }))
  )
})).map(({ payload, ...rest }) => ({ ...rest, ...payload, outputs: rest.until === 0 ? rest.outputs : [] }) as FrameInit)
const floats = (length: number): fc.Arbitrary<Float32Array<ArrayBuffer>> => fc.array(float, { minLength: length, maxLength: length }).map(list => Float32Array.from(list))
const result = fc.integer({ min: 0, max: 7 }).chain(count => fc.oneof(
  fc.record({ ids: fc.array(u32, { minLength: count, maxLength: count }).map(list => Uint32Array.from(list)), values: floats(count), logSumExp: fc.double({ noNaN: true }) }),
  fc.record({ ids: fc.array(u32, { minLength: count, maxLength: count }).map(list => Uint32Array.from(list)), values: floats(count), logSumExp: fc.double({ noNaN: true }), argmax: u32 }),
  fc.record({ logits: floats(count) })
))
const answer = fc.integer({ min: 1, max: 20 }).chain(rows => fc.record({
  kind: fc.constant(Kind.answer),
  session: hexSession,
  epoch: u32,
  sequence: u32,
  position: u32,
  rows: fc.constant(rows),
  more: fc.boolean(),
  spans,
  results: some(rows, result).map(list => list.length === 0 ? undefined : list.map(([row, result]) => ({ row, ...result })))
})) as fc.Arbitrary<FrameInit>

function outcome (bytes: Uint8Array): 'valid' | 'refused' {
  try {
    decodeFrame(bytes)
    return 'valid'
  } catch (error) {
    if (error instanceof FrameError) return 'refused'
    throw error
  }
}

describe('peer/wire: frames', () => {
  it('refuses what breaks the rules, naming the field', () => {
    const bytes = (): Uint8Array => encodeFrame(examples['step, token ids'])
    const changed = (offset: number, ...values: number[]): Uint8Array => {
      const copy = bytes()
      copy.set(values, offset)
      return copy
    }
    expect(() => decodeFrame(changed(4, 2))).to.throw(FrameError, 'version is 2')
    expect(() => decodeFrame(changed(5, 0))).to.throw(FrameError, 'kind 0')
    expect(() => decodeFrame(changed(5, 25))).to.throw(FrameError, 'kind 25')
    expect(() => decodeFrame(changed(6, 72))).to.throw(FrameError, 'header length')
    expect(() => decodeFrame(changed(0, 8))).to.throw(FrameError, 'length')
    expect(() => decodeFrame(changed(36, 4))).to.throw(FrameError, 'token ids')
    expect(() => decodeFrame(changed(36, 0))).to.throw(FrameError, 'rows is 0')
    expect(() => decodeFrame(changed(39, 255))).to.throw(FrameError, 'rows')
    expect(() => decodeFrame(changed(40, 3))).to.throw(FrameError, 'payload kind')
    expect(() => decodeFrame(changed(41, 1))).to.throw(FrameError, 'flags')
    expect(() => decodeFrame(changed(44, 64))).to.throw(FrameError, 'ancestor table')
    expect(() => decodeFrame(changed(58, 1))).to.throw(FrameError, 'do not go with a replay')
    expect(() => decodeFrame(changed(58, 1, 2))).to.throw(FrameError, 'until is 513')
    for (const kind of [Kind.answer, Kind.replayed, Kind.truncate]) {
      expect(() => decodeFrame(encodeFrame({ kind, session, epoch: 1, sequence: 1, rows: 1, until: 1 }))).to.throw(FrameError, 'until is 1')
    }
    expect(() => decodeFrame(encodeFrame({ ...examples.replay, until: 0 }))).to.throw(FrameError, 'ends somewhere')
    expect(() => decodeFrame(encodeFrame({ ...examples.replay, rows: 0 }))).to.throw(FrameError, 'rows is 0')
    expect(() => decodeFrame(encodeFrame({ ...examples.fetch, rows: 0 }))).to.throw(FrameError, 'rows is 0')
    expect(() => decodeFrame(encodeFrame({ ...examples['keys and values'], rows: 4 }))).to.throw(FrameError, '6 bytes for 4 rows')
    expect(() => decodeFrame(encodeFrame({ ...examples['keys and values'], record: new Uint8Array(0) }))).to.throw(FrameError, '0 bytes for 2 rows')
    expect(() => decodeFrame(changed(48, 255, 255, 255, 255))).to.throw(FrameError, 'length')
    expect(() => decodeFrame(changed(64 + 12, 1))).to.throw(FrameError, 'padding')
    expect(() => decodeFrame(changed(80, 2))).to.throw(FrameError, 'out of order')
    expect(() => decodeFrame(changed(84, 9))).to.throw(FrameError, 'unknown kind 9')
    expect(() => decodeFrame(changed(88, 0))).to.throw(FrameError, 'best')
    expect(() => decodeFrame(bytes().subarray(0, 60))).to.throw(FrameError, 'header')
    expect(() => decodeFrame(encodeFrame({ ...examples['step, hidden state'], spans: [-1] }))).to.throw(FrameError, 'span')
    expect(() => encodeFrame({ ...examples.truncate, session: 'zz' })).to.throw(FrameError, 'session')
  })

  it('has the golden bytes, and reads them back', () => {
    for (const [name, init] of Object.entries(examples)) {
      const bytes = encodeFrame(init)
      expect(Buffer.from(bytes).toString('hex'), name).to.equal(golden[name])
      expect(bytes.length % 8).to.equal(0)
      expect(plain(decodeFrame(bytes)), name).to.deep.equal(plain(init))
    }
    expect(Object.keys(golden).filter(name => !name.startsWith('record:'))).to.deep.equal(Object.keys(examples))
  })

  it('reads back every step and answer', () => {
    fc.assert(fc.property(fc.oneof(step, answer), init => {
      expect(plain(decodeFrame(encodeFrame(init)))).to.deep.equal(plain({ ...init, spans: [...Float32Array.from(init.spans ?? [])] }))
    }), { seed: 1, numRuns: 500 })
  })

  it('ends 10,000 mutated frames in a FrameError or a valid frame', () => {
    const counts = { valid: 0, refused: 0 }
    const originals = Object.values(examples).map(encodeFrame)
    fc.assert(fc.property(fc.nat(originals.length - 1), fc.array(fc.tuple(fc.nat(10_000), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }), fc.option(fc.nat(200)), (which, changes, cut) => {
      const bytes = originals[which].slice(0, cut ?? undefined)
      for (const [offset, value] of changes) if (bytes.length > 0) bytes[offset % bytes.length] = value
      counts[outcome(bytes)]++
    }), { seed: 2, numRuns: 10_000 })
    expect(counts.valid).to.be.greaterThan(100)
    expect(counts.refused).to.be.greaterThan(1000)
  })
})

describe('peer/wire: framer', () => {
  const stream = Buffer.concat(Object.values(examples).map(encodeFrame))

  it('refuses lengths before it reserves them', () => {
    for (const [length, message] of [[72, 'allowed'], [56, 'length'], [68, 'length'], [0xfffffff8, 'allowed']] as const) {
      const start = encodeFrame(examples.truncate).slice(0, 8)
      new DataView(start.buffer).setUint32(0, length, true)
      const framer = createFramer(64, () => { throw new Error('no frame is complete') })
      expect(() => framer.push(start)).to.throw(FrameError, message)
      expect(framer.bufferedBytes).to.equal(0)
    }
  })

  it('does not reserve what a header only announces', () => {
    const framer = createFramer(1 << 24, () => {})
    const start = encodeFrame(examples.truncate).slice(0, 8)
    new DataView(start.buffer).setUint32(0, 1 << 24, true)
    framer.push(start)
    expect(framer.bufferedBytes).to.be.at.most(32 << 10)
    framer.push(new Uint8Array(100_000))
    expect(framer.bufferedBytes).to.be.at.most(256 << 10)
  })

  it('finds the same frames however the bytes are cut', () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 50 }), fc.boolean(), (sizes, asList) => {
      const frames: string[] = []
      const framer = createFramer(1 << 16, bytes => {
        expect(bytes.byteOffset % 8).to.equal(0)
        frames.push(Buffer.from(bytes).toString('hex'))
      })
      let turn = 0
      for (let at = 0; at < stream.length;) {
        const part = stream.subarray(at, at + sizes[turn++ % sizes.length])
        framer.push(asList ? [part.subarray(0, 1), part.subarray(1)] : new Uint8Array(part))
        at += part.length
      }
      expect(frames).to.deep.equal(Object.values(golden).slice(0, frames.length))
      expect(frames.length).to.equal(Object.keys(examples).length)
      expect(framer.bufferedBytes).to.equal(0)
    }), { seed: 3, numRuns: 200 })
  })
})

describe('peer/wire: records', () => {
  const statement = { session, epoch: 3, nonce: Uint8Array.from({ length: 16 }, (_value, index) => index), client: 'C', upstream: 'U', downstream: 'D', modelId: 'cd'.repeat(32), range: { from: 1, to: 5 }, addresses: ['/ip4/1.2.3.4/tcp/4001'] }
  const records: Record<string, { bytes: Uint8Array, decode: (bytes: Uint8Array) => unknown, value: unknown }> = {
    'record: statement': { bytes: encodeStatement(statement), decode: decodeStatement, value: statement },
    'record: statement of a transfer': { bytes: encodeStatement(statement, StatementDomain.transfer), decode: bytes => decodeStatement(bytes, StatementDomain.transfer), value: statement },
    'record: give': { bytes: examples.give.record!, decode: decodeGive, value: { nonce: new Uint8Array(16).fill(7), epoch: 4, heir: '12D3KooWheir', range: { from: 3, to: 6 } } },
    'record: take': { bytes: examples.take.record!, decode: decodeTake, value: { to: 2048, statement: Uint8Array.of(1, 2, 3), signature: Uint8Array.of(4, 5) } },
    'record: taken': { bytes: examples.taken.record!, decode: decodeTaken, value: { milliseconds: 12.5, bytesPerSecond: 1e8 } },
    'record: opened': { bytes: encodeOpened({ nonce: statement.nonce, window: 8, rowsPerStep: 256, capacity: 2048, held: 64, kept: 32 }), decode: decodeOpened, value: { nonce: statement.nonce, window: 8, rowsPerStep: 256, capacity: 2048, held: 64, kept: 32 } },
    'record: probed': { bytes: encodeProbed({ received: 9, finished: 8, queued: 1 }), decode: decodeProbed, value: { received: 9, finished: 8, queued: 1 } },
    'record: signed': { bytes: encodeSigned({ statement: Uint8Array.of(1, 2), signature: Uint8Array.of(3) }), decode: decodeSigned, value: { statement: Uint8Array.of(1, 2), signature: Uint8Array.of(3) } },
    'record: open': { bytes: examples.open.record!, decode: decodeOpen, value: { modelId: 'ab'.repeat(32), range: { from: 2, to: 4 }, stage: 2, stages: 3, capacity: 2048, upstream: '12D3KooWupstream', downstream: '12D3KooWdownstream', prefix: ['0f'.repeat(16), 'f0'.repeat(16)] } },
    'record: name': { bytes: examples.name.record!, decode: decodeName, value: { first: 2, names: ['1e'.repeat(16)] } },
    'record: leaving': { bytes: examples.leaving.record!, decode: decodeLeaving, value: { milliseconds: 30_000 } },
    'record: error': { bytes: examples.error.record!, decode: decodeError, value: { code: ErrorCode.peerLost, retryable: true, sessionLost: true, stage: 3, peer: '12D3KooWlost', message: 'stage 2 lost the connection to it' } },
    'record: nonce': { bytes: statement.nonce, decode: decodeNonce, value: statement.nonce },
    'record: info': {
      bytes: encodeInfo({ software: 's/1', addresses: ['/ip4/1.2.3.4/tcp/4001'], hosted: { modelId: 'ef'.repeat(32), manifest: Uint8Array.of(1, 2, 3), ranges: [{ range: { from: 0, to: 2 }, state: 'serving' }, { range: { from: 1, to: 3 }, state: 'joining' }], rowsPerStep: 64, window: 8, contextLength: 2048, sessionsPerClient: 4, sessions: 3, queuedSteps: 2, freePositions: 5000 } }),
      decode: decodeInfo,
      value: { software: 's/1', addresses: ['/ip4/1.2.3.4/tcp/4001'], hosted: { modelId: 'ef'.repeat(32), manifest: Uint8Array.of(1, 2, 3), ranges: [{ range: { from: 0, to: 2 }, state: 'serving' }, { range: { from: 1, to: 3 }, state: 'joining' }], rowsPerStep: 64, window: 8, contextLength: 2048, sessionsPerClient: 4, sessions: 3, queuedSteps: 2, freePositions: 5000 } }
    }
  }

  it('refuses more names than a session can have', () => {
    const names = Array<string>(4097).fill('00'.repeat(16))
    expect(() => decodeName(encodeName({ first: 0, names }))).to.throw(FrameError, '4096 are allowed')
    expect(() => decodeName(encodeName({ first: 4096, names: names.slice(0, 1) }))).to.throw(FrameError, 'go up to 4097')
    expect(decodeName(encodeName({ first: 0, names: names.slice(1) })).names).to.have.length(4096)
  })

  it('refuses a peer that hosts no range, too many, or in a state that is none', () => {
    const info = records['record: info'].bytes
    const countAt = 1 + 5 + 1 + 23 + 1
    expect(info[countAt]).to.equal(2)
    for (const [offset, value, message] of [[0, 0, '1 to 4'], [0, 5, '1 to 4'], [5, 3, 'state is 3'], [1, 2, '2:2 is empty']] as const) {
      const changed = info.slice()
      changed[countAt + offset] = value
      expect(() => decodeInfo(changed)).to.throw(FrameError, message)
    }
  })

  it('refuses an agreement that was given for something else, and rates that are none', () => {
    expect(() => decodeStatement(encodeStatement(statement), StatementDomain.transfer)).to.throw(FrameError, 'domain')
    expect(() => decodeStatement(encodeStatement(statement, StatementDomain.transfer))).to.throw(FrameError, 'domain')
    for (const bytesPerSecond of [0, -1, NaN, Infinity]) expect(() => decodeTaken(encodeTaken({ milliseconds: 1, bytesPerSecond }))).to.throw(FrameError, 'bytes a second')
    for (const milliseconds of [-1, NaN, Infinity]) expect(() => decodeTaken(encodeTaken({ milliseconds, bytesPerSecond: 1 }))).to.throw(FrameError, 'says')
    expect(() => decodeTake(encodeTake({ to: 1, statement: new Uint8Array(0), signature: new Uint8Array(0) }).subarray(0, 6))).to.throw(FrameError, 'ends too early')
    const long = Uint8Array.of(1, 0, 0, 0, 1, 16, ...new Uint8Array(4200))
    expect(() => decodeTake(long)).to.throw(FrameError, '4096 are allowed')
  })

  it('refuses a stage that has outputs of positions it does not hold', () => {
    expect(() => decodeOpened(encodeOpened({ nonce: statement.nonce, window: 8, rowsPerStep: 256, capacity: 2048, held: 64, kept: 65 }))).to.throw(FrameError, 'holds 64')
  })

  it('refuses one byte too many or too few', () => {
    for (const [name, { bytes, decode }] of Object.entries(records)) {
      expect(() => decode(bytes.subarray(0, bytes.length - 1)), name).to.throw(FrameError)
      expect(() => decode(Uint8Array.of(...bytes, 0)), name).to.throw(FrameError)
    }
  })

  it('has the golden bytes, and reads them back', () => {
    for (const [name, { bytes, decode, value }] of Object.entries(records)) {
      expect(Buffer.from(bytes).toString('hex'), name).to.equal(golden[name])
      expect(decode(bytes), name).to.deep.equal(value)
    }
    expect(Object.keys(golden).filter(name => name.startsWith('record:'))).to.deep.equal(Object.keys(records))
  })

  it('ends 10,000 mutated records in a FrameError or a valid record', () => {
    const list = Object.values(records)
    let refused = 0
    fc.assert(fc.property(fc.nat(list.length - 1), fc.array(fc.tuple(fc.nat(10_000), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }), (which, changes) => {
      const bytes = list[which].bytes.slice()
      for (const [offset, value] of changes) bytes[offset % bytes.length] = value
      try {
        list[which].decode(bytes)
      } catch (error) {
        expect(error).to.be.instanceOf(FrameError)
        refused++
      }
    }), { seed: 4, numRuns: 10_000 })
    expect(refused).to.be.greaterThan(1000)
  })
})
