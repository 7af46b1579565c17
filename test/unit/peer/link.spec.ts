import { mock } from 'node:test'
import { expect } from 'chai'
import type { Stream } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { LINK_QUEUE_BYTES } from '../../../src/peer/constants.ts'
import { createLink } from '../../../src/peer/link.ts'
import type { Link } from '../../../src/peer/link.ts'
import { decodeFrame, encodeFrame, Kind } from '../../../src/peer/wire/index.ts'
import type { Frame, FrameInit } from '../../../src/peer/wire/index.ts'

const probe = (sequence: number, rows = 0): FrameInit => rows === 0
  ? { kind: Kind.probe, session: '00'.repeat(16), epoch: 1, sequence }
  : { kind: Kind.step, session: '00'.repeat(16), epoch: 1, sequence, rows, tokens: new Uint32Array(rows) }

/** Behaves as a libp2p stream does: full until it drains, one event per chunk. */
class FakeStream extends EventTarget {
  status = 'open'
  writableNeedsDrain = false
  writeBufferLength = 0
  sent: Uint8Array[] = []
  aborted: Error | undefined
  /** frames taken before it is full again */
  room = Infinity

  send (bytes: Uint8Array): boolean {
    if (this.writableNeedsDrain) throw new Error('sent to a full stream')
    this.sent.push(bytes)
    this.room--
    if (this.room <= 0) this.writableNeedsDrain = true
    return !this.writableNeedsDrain
  }

  drain (room: number): void {
    this.room = room
    this.dispatchEvent(new Event('drain'))
    // libp2p clears the flag in the same event, its own listener comes first
    this.writableNeedsDrain = false
  }

  abort (error: Error): void {
    this.aborted = error
    this.dispatchEvent(Object.assign(new Event('close'), { error }))
  }

  async close (): Promise<void> {
    this.dispatchEvent(new Event('close'))
  }

  message (data: Uint8Array): void {
    this.dispatchEvent(Object.assign(new Event('message'), { data }))
  }
}

function setUp (onFrame: (frame: Frame, link: Link) => void = () => {}, framesPerSecond?: number, stallMilliseconds?: number) {
  const stream = new FakeStream()
  const closes: Array<Error | undefined> = []
  const held: number[] = []
  const link = createLink({
    stream: stream as unknown as Stream,
    peer: 'P',
    remoteAddress: '',
    cap: 1 << 20,
    framesPerSecond,
    stallMilliseconds,
    log: defaultLogger().forComponent('test'),
    handlers: { onFrame, onHeld: bytes => held.push(bytes), onClose: (_link, error) => closes.push(error) }
  })
  return { stream, link, closes, held, sequences: () => stream.sent.map(bytes => decodeFrame(bytes).sequence) }
}

describe('peer: link', () => {
  it('turns what a listener throws into the end of the stream', () => {
    const { stream, closes } = setUp(() => { throw new Error('handler') })
    stream.message(encodeFrame(probe(1)))
    expect(stream.aborted?.message).to.equal('handler')
    expect(closes.map(error => error?.message)).to.deep.equal(['handler'])
  })

  it('ends the stream at the first broken frame, and takes nothing after it', () => {
    const seen: number[] = []
    const { stream, link } = setUp(frame => seen.push(frame.sequence))
    const broken = encodeFrame(probe(2))
    broken[44] = 1
    stream.message(Buffer.concat([encodeFrame(probe(1)), broken, encodeFrame(probe(3))]))
    expect(seen).to.deep.equal([1])
    expect(stream.aborted?.message).to.contain('ancestor table')
    expect(link.closed).to.equal(true)
  })

  it('never sends to a full stream, keeps the order, and one frame is one send', async () => {
    const { stream, link, sequences } = setUp()
    stream.room = 2
    for (let sequence = 1; sequence <= 6; sequence++) link.send(probe(sequence))
    expect(sequences()).to.deep.equal([1, 2])
    expect(link.queuedBytes).to.equal(4 * 64)
    let drained = 0
    link.onDrain(() => { drained++ })
    stream.drain(1)
    await Promise.resolve()
    expect(sequences()).to.deep.equal([1, 2, 3])
    link.send(probe(7))
    expect(drained).to.equal(0)
    stream.drain(10)
    await Promise.resolve()
    expect(sequences()).to.deep.equal([1, 2, 3, 4, 5, 6, 7])
    expect([drained, link.queuedBytes]).to.deep.equal([1, 0])
  })

  it('gives up a reader that has stopped', () => {
    const { stream, link, closes } = setUp()
    stream.room = 1
    for (let sequence = 1; !link.closed; sequence++) {
      link.send(probe(sequence, 4096))
      expect(sequence).to.be.lessThan(2 + LINK_QUEUE_BYTES / (4 * 4096))
    }
    expect(closes.map(error => error?.name)).to.deep.equal(['SlowReaderError'])
    link.send(probe(1))
    expect(stream.sent).to.have.length(1)
  })

  it('gives up a reader that reads nothing for too long, and no other', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      const { stream, link, closes } = setUp(undefined, undefined, 20_000)
      stream.room = 1
      link.send(probe(1))
      link.send(probe(2))
      // it reads, if slowly: every time it is looked at, a frame more has gone
      for (let sequence = 3; sequence < 10; sequence++) {
        mock.timers.tick(19_000)
        stream.drain(1)
        await Promise.resolve()
        link.send(probe(sequence))
      }
      expect(closes).to.deep.equal([])
      for (let look = 0; look < 2; look++) mock.timers.tick(20_000)
      expect(closes.map(error => error?.name)).to.deep.equal(['SlowReaderError'])
      expect(closes[0]!.message).to.contain('has read nothing for 20 s')
    } finally {
      mock.timers.reset()
    }
  })

  it('tells what it holds of a frame that has not come whole', () => {
    const { stream, held } = setUp()
    const frame = encodeFrame(probe(1, 1000))
    stream.message(frame)
    expect(held).to.deep.equal([])
    stream.message(frame.subarray(0, 100))
    stream.message(frame.subarray(100, 200))
    stream.message(frame.subarray(200))
    expect(held).to.deep.equal([frame.length, 0])
  })

  it('limits the rate of frames', () => {
    let count = 0
    const { stream } = setUp(() => { count++ }, 5)
    for (let sequence = 0; sequence < 30; sequence++) stream.message(encodeFrame(probe(sequence)))
    expect(count).to.equal(20)
    expect(stream.aborted?.message).to.contain('above 5 frames a second')
  })

  it('ends when the other side ends', async () => {
    const { stream, link, closes } = setUp()
    stream.dispatchEvent(new Event('remoteCloseWrite'))
    await Promise.resolve()
    expect(link.closed).to.equal(true)
    expect(closes).to.deep.equal([undefined])
  })
})
