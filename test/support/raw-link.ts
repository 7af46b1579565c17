import type { Logger, Stream } from '@libp2p/interface'
import { createLink } from '../../src/peer/link.ts'
import type { Link } from '../../src/peer/link.ts'
import { decodeError, encodeOpen, Kind } from '../../src/peer/wire/index.ts'
import type { ErrorRecord, Frame, FrameInit, OpenRecord } from '../../src/peer/wire/index.ts'
import type { UnitRange } from '../../src/model/index.ts'

/** Speaks frames with a stage, whatever they are. */
export interface RawLink {
  readonly self: string
  readonly link: Link
  /** frames that have come and that nobody has asked for */
  readonly frames: Frame[]
  /** epoch of what is sent; 1 at first */
  epoch: number
  send (frame: Partial<FrameInit> & { kind: FrameInit['kind'] }): void
  /** the next frame of this kind, also one that has come already */
  next (kind: FrameInit['kind']): Promise<Frame>
  nextError (): Promise<ErrorRecord>
  open (record: Partial<OpenRecord> & { range: UnitRange }, init?: Partial<FrameInit>): void
  /** resolves when the stage has read all that was sent, and what it had to say to it at once has come */
  settled (): Promise<void>
  pause (): void
  resume (): void
  readonly closed: Promise<void>
}

export interface RawLinkInit {
  self: string
  stream: Stream
  peer: string
  remoteAddress: string
  session: string
  modelId: string
  log: Logger
}

export function createRawLink ({ self, stream, peer, remoteAddress, session, modelId, log }: RawLinkInit): RawLink {
  const frames: Frame[] = []
  const waiters = new Set<() => void>()
  const closed = Promise.withResolvers<void>()
  let probes = 0
  const link = createLink({
    stream,
    peer,
    remoteAddress,
    cap: 32 << 20,
    log,
    handlers: {
      onFrame: frame => {
        frames.push(frame)
        for (const waiter of [...waiters]) waiter()
      },
      onClose: () => closed.resolve()
    }
  })

  async function find (matches: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const index = frames.findIndex(matches)
      if (index >= 0) return frames.splice(index, 1)[0]
      await new Promise<void>(resolve => {
        const waiter = (): void => {
          waiters.delete(waiter)
          resolve()
        }
        waiters.add(waiter)
      })
    }
  }

  const raw: RawLink = {
    self,
    link,
    frames,
    epoch: 1,
    send: frame => link.send({ session, epoch: raw.epoch, sequence: 1, ...frame }),
    next: async kind => await find(frame => frame.kind === kind),
    async nextError () {
      return decodeError((await raw.next(Kind.error)).record!)
    },
    open (record, init = {}) {
      raw.send({ kind: Kind.open, ...init, record: encodeOpen({ modelId, stage: 1, stages: 1, capacity: 0, upstream: self, downstream: self, prefix: [], ...record }) })
    },
    async settled () {
      const sequence = 0xf0000000 + ++probes
      // a session that is not there is answered by an error, with the same number
      link.send({ kind: Kind.probe, session, epoch: raw.epoch, sequence })
      await find(frame => frame.sequence === sequence)
    },
    pause: () => stream.pause(),
    resume: () => stream.resume(),
    closed: closed.promise
  }
  return raw
}
