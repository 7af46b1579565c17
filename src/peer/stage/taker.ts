import type { Connection } from '@libp2p/interface'
import { keyValueBytesPerPosition } from '../../engine/index.ts'
import { CONNECT_MILLISECONDS, MAXIMUM_PIECE_BYTES, MAXIMUM_ROWS, MAXIMUM_STEP_MILLISECONDS, PIECE_BYTES, PIECES_UNDER_WAY } from '../constants.ts'
import type { LinkPool, Subscription } from '../link-pool.ts'
import type { ModelIdentity, PeerLimits } from '../types.ts'
import { decodeError, decodeTake, encodeTaken, ErrorCode, Kind } from '../wire/index.ts'
import type { Frame, SignedStatement, Statement, TakeRecord } from '../wire/index.ts'
import type { SessionStore } from './session-store.ts'
import type { Binding, StageSession } from './stage-session.ts'
import { verifyTransfer } from './verify-confirmation.ts'

/** The peer that gives, for as long as the binding lasts. */
export interface Source {
  readonly signed: SignedStatement
  readonly subscription: Subscription
  /** number of the last question */
  sequence: number
}

interface Piece {
  sequence: number
  position: number
  rows: number
}

/** Keys and values of positions [from, to) that are on their way to a session. */
export interface Taking {
  /** of the client's `take` */
  readonly sequence: number
  readonly from: number
  readonly to: number
  readonly bytesPerPosition: number
  /** positions below were asked for */
  next: number
  /** asked for, in order */
  readonly asked: Piece[]
  /** here, and not yet in the KV cache */
  readonly here: Array<{ position: number, rows: number, bytes: Uint8Array }>
  /** bytes set aside for it */
  reserved: number
  /** a piece is going to be written in a later turn of the event loop */
  writes: boolean
  timer?: NodeJS.Timeout
  /** when the first piece was asked for, when it was here, when the last one was */
  started: number
  first?: number
  last: number
  /** behind the first piece */
  bytesAfterFirst: number
}

export interface TakerInit {
  model: ModelIdentity
  self: string
  limits: Pick<PeerLimits, 'takenBytes'>
  links: LinkPool
  /** connects to a peer that has agreed; throws where the rules forbid it */
  connect: (statement: Statement, clientAddress: string, client: string, signal: AbortSignal) => Promise<Connection>
  store: SessionStore
}

/**
 * Takes keys and values over from another peer (docs/protocol.md, Moving keys
 * and values). Positions of a session come in order: what has been fetched
 * waits, within a budget, until the session has computed those before it.
 */
export interface Taker {
  /** of the session's client, in the present epoch */
  take (session: StageSession, frame: Frame): Promise<void>
  /** to be called when a session has come to more positions */
  advance (session: StageSession): void
  /** gives up what is on its way, and says so */
  cancel (session: StageSession): void
}

export function createTaker (init: TakerInit): Taker {
  const { model, self, limits, store } = init
  const { architecture } = model.manifest
  let reserved = 0
  /** that could ask for more if there were room for it */
  const hungry = new Set<StageSession>()
  store.onUnbind(drop)

  async function take (session: StageSession, frame: Frame): Promise<void> {
    const { binding, range } = session
    const record = decodeTake(frame.record!)
    const { sequence, position: from, deadline } = frame
    const bytesPerPosition = keyValueBytesPerPosition(architecture, range)
    session.lastActivity = performance.now()
    const problem = takeProblem(session, from, record.to, bytesPerPosition)
    if (problem !== undefined) return tell(session, sequence, problem)
    const taking: Taking = { sequence, from, to: record.to, bytesPerPosition, next: from, asked: [], here: [], reserved: 0, writes: false, started: 0, last: 0, bytesAfterFirst: 0 }
    session.taking = taking
    const milliseconds = deadline === 0 ? MAXIMUM_STEP_MILLISECONDS : Math.min(deadline, MAXIMUM_STEP_MILLISECONDS)
    taking.timer = setTimeout(() => fail(session, taking, `not all of it was here within ${milliseconds} ms`), milliseconds)
    try {
      await reach(session, binding, record)
    } catch (error) {
      return fail(session, taking, (error as Error).message)
    }
    if (session.taking !== taking) return
    taking.started = performance.now()
    ask(session)
  }

  function takeProblem (session: StageSession, from: number, to: number, bytesPerPosition: number): string | undefined {
    if (session.binding.lost !== undefined) return 'the session is suspended'
    if (session.taking !== undefined) return 'one transfer at a time'
    if (bytesPerPosition === 0 || bytesPerPosition > MAXIMUM_PIECE_BYTES) return `${bytesPerPosition} bytes a position cannot be moved`
    if (from >= to || to > session.capacity) return `positions ${from} to ${to}, the session has room for ${session.capacity}`
    return from < session.expectedLength ? `positions from ${from} on, the session holds ${session.expectedLength}` : undefined
  }

  /** Connects to the peer that gives, unless it is the one of the last transfer. */
  async function reach (session: StageSession, binding: Binding, { statement: bytes, signature }: TakeRecord): Promise<void> {
    if (binding.source !== undefined) {
      if (Buffer.compare(binding.source.signed.statement, bytes) !== 0) throw new Error('it is being taken from another peer')
      return
    }
    const nonce = binding.takeNonce
    binding.takeNonce = undefined
    const signed = { statement: bytes, signature }
    const statement = await verifyTransfer(signed, { session: session.id, epoch: binding.epoch, nonce, client: session.client, upstream: self, modelId: model.modelId, range: session.range })
    const signal = AbortSignal.any([AbortSignal.timeout(CONNECT_MILLISECONDS), binding.over.signal])
    const subscription = await init.links.subscribe(statement.downstream, session.id, {
      onFrame: frame => { if (session.binding === binding && frame.epoch === binding.epoch) onFrame(session, frame) },
      onClose: () => onClose(session, binding, statement.downstream)
    }, async signal => await init.connect(statement, session.clientLink.remoteAddress, session.client, signal), signal)
    if (binding.over.signal.aborted) subscription.release()
    else binding.source = { signed, subscription, sequence: 0 }
  }

  function onClose (session: StageSession, binding: Binding, giver: string): void {
    binding.source = undefined
    const { taking } = session
    if (session.binding !== binding || taking === undefined) return
    // what is here already is as good as ever
    if (taking.next < taking.to || taking.asked.length > 0) fail(session, taking, `peer ${giver} has closed the connection`)
  }

  /** Asks for as much as may be on its way. */
  function ask (session: StageSession): void {
    const { taking, binding: { source, epoch } } = session
    hungry.delete(session)
    if (taking === undefined || source === undefined) return
    const { bytesPerPosition, to, asked } = taking
    const most = Math.min(MAXIMUM_ROWS, Math.max(1, Math.floor(PIECE_BYTES / bytesPerPosition)))
    while (taking.next < to && asked.length < PIECES_UNDER_WAY) {
      const position = taking.next
      const rows = Math.min(most, to - position)
      const bytes = rows * bytesPerPosition
      // with nothing of its own on the way it may have one piece in any case
      if (reserved + bytes > limits.takenBytes && taking.reserved > 0) {
        hungry.add(session)
        return
      }
      reserved += bytes
      taking.reserved += bytes
      taking.next += rows
      const sequence = ++source.sequence
      asked.push({ sequence, position, rows })
      source.subscription.link.send({ kind: Kind.fetch, session: session.id, epoch, sequence, position, rows })
    }
  }

  function onFrame (session: StageSession, frame: Frame): void {
    const { taking } = session
    const [piece] = taking?.asked ?? []
    // what was given up still arrives
    if (taking === undefined || piece === undefined || frame.sequence < piece.sequence) return
    if (frame.kind === Kind.error) return fail(session, taking, decodeError(frame.record!).message)
    const { sequence, position, rows } = piece
    const bytes = frame.record
    if (frame.kind !== Kind.keyValues || frame.sequence !== sequence || frame.position !== position || frame.rows !== rows || bytes?.length !== rows * taking.bytesPerPosition) return fail(session, taking, 'it sent something else than it was asked for')
    taking.asked.shift()
    taking.last = session.lastActivity = performance.now()
    if (taking.first === undefined) taking.first = taking.last
    else taking.bytesAfterFirst += bytes.length
    taking.here.push({ position, rows, bytes })
    ask(session)
    advance(session)
  }

  /** Writes what is here, as soon as it continues what the session holds; one piece in a turn of the event loop. */
  function advance (session: StageSession): void {
    const { taking, host: { queue }, named: { engineSession } } = session
    if (taking === undefined || taking.here.length === 0 || taking.writes) return
    taking.writes = true
    // a step that was dropped may still run
    queue.afterRun(engineSession, () => {
      taking.writes = false
      if (session.taking === taking) write(session, taking)
    })
  }

  function write (session: StageSession, taking: Taking): void {
    const { host, host: { engine }, named: { engineSession } } = session
    const { position, rows, bytes } = taking.here[0]
    const end = position + rows
    if (session.pending.size > 0 || session.expectedLength !== position || engine.sessionLength(engineSession) !== position) return
    try {
      store.withRoom(host, () => engine.reserve(engineSession, position, end), session)
      engine.writeKeyValues(engineSession, position, bytes, end)
    } catch (error) {
      return fail(session, taking, (error as Error).message)
    }
    session.expectedLength = end
    session.lastActivity = performance.now()
    taking.here.shift()
    give(taking, bytes.length)
    if (end === taking.to) return finish(session, taking)
    feed()
    ask(session)
    taking.writes = true
    setImmediate(() => {
      taking.writes = false
      if (session.taking === taking) advance(session)
    })
  }

  function finish (session: StageSession, taking: Taking): void {
    const { sequence, started, first = started, last, bytesAfterFirst, from, to, bytesPerPosition } = taking
    drop(session)
    // a step has computed these positions, if not here: the session is in use
    session.lastSequence = Math.max(session.lastSequence, 1)
    // a clock that stands still is no reason to divide by zero
    const seconds = (milliseconds: number): number => Math.max(milliseconds, 1e-3) / 1000
    const bytesPerSecond = bytesAfterFirst > 0 ? bytesAfterFirst / seconds(last - first) : (to - from) * bytesPerPosition / seconds(last - started)
    session.clientLink.send({ kind: Kind.taken, session: session.id, epoch: session.binding.epoch, sequence, record: encodeTaken({ milliseconds: last - started, bytesPerSecond }) })
  }

  function give (taking: Taking, bytes: number): void {
    reserved -= bytes
    taking.reserved -= bytes
  }

  function feed (): void {
    for (const session of [...hungry]) ask(session)
  }

  /** What has been written of it is given up too: it may be worth as little as what made it fail. */
  function fail (session: StageSession, taking: Taking, message: string): void {
    if (session.taking !== taking) return
    drop(session)
    const { host: { engine, queue }, named: { engineSession } } = session
    session.expectedLength = Math.min(session.expectedLength, taking.from)
    queue.afterRun(engineSession, () => {
      if (!session.closed && session.pending.size === 0 && engine.sessionLength(engineSession) > taking.from) engine.truncate(engineSession, taking.from)
    })
    tell(session, taking.sequence, message)
  }

  function tell (session: StageSession, sequence: number, message: string): void {
    store.tell(session, { code: ErrorCode.transfer, message: `keys and values cannot be taken over: ${message}`, retryable: true }, sequence)
  }

  /** Without a word. */
  function drop (session: StageSession): void {
    const { taking } = session
    if (taking === undefined) return
    session.taking = undefined
    clearTimeout(taking.timer)
    hungry.delete(session)
    give(taking, taking.reserved)
    feed()
  }

  return {
    take,
    advance,
    cancel (session) {
      if (session.taking !== undefined) fail(session, session.taking, 'it was cancelled')
    }
  }
}
