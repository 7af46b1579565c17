import { keyValueBytesPerPosition } from '../../engine/index.ts'
import type { UnitRange } from '../../model/index.ts'
import { MAXIMUM_PIECE_BYTES, PIECES_UNDER_WAY } from '../constants.ts'
import type { Link } from '../link.ts'
import type { ModelIdentity } from '../types.ts'
import { decodeGive, encodeSigned, encodeStatement, ErrorCode, Kind, StatementDomain } from '../wire/index.ts'
import type { Frame, GiveRecord } from '../wire/index.ts'
import { contains } from './host.ts'
import { layersOf } from './layers-of.ts'
import type { OutputRoom } from './output-room.ts'
import { refuse, refuseStranger, reply } from './replies.ts'
import type { SessionStore } from './session-store.ts'
import type { StageSession } from './stage-session.ts'

/** Who may fetch the keys and values of a session, and what it has asked for. */
export interface Giving {
  readonly heir: string
  /** of the heir's route */
  readonly epoch: number
  /** units that it takes over */
  readonly range: UnitRange
  /** positions below were given, or left out, and are not given again */
  next: number
  /** not answered yet */
  readonly fetches: Array<{ link: Link, frame: Frame }>
}

export interface GiverInit {
  model: ModelIdentity
  self: string
  /** multiaddrs under which others reach this node, without `/p2p` */
  addresses: () => string[]
  sign: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>
  store: SessionStore
  room: OutputRoom
}

/** Gives what a session holds to the peer that its client has named (docs/protocol.md, Moving keys and values). */
export interface Giver {
  /** of the session's client, in the present epoch */
  give (session: StageSession, link: Link, frame: Frame): Promise<void>
  /** of anybody */
  fetch (session: StageSession | undefined, link: Link, frame: Frame): void
}

export function createGiver (init: GiverInit): Giver {
  const { model, self, room } = init
  const { architecture } = model.manifest
  /** sessions whose next piece waits for room on the stream, or for its turn */
  const waiting = new Set<StageSession>()
  room.onRoom(() => { for (const session of [...waiting]) advance(session) })

  async function give (session: StageSession, link: Link, frame: Frame): Promise<void> {
    const record = decodeGive(frame.record!)
    const problem = giveProblem(session, record)
    if (problem !== undefined) return deny(session, link, frame, problem)
    const { nonce, epoch, heir, range } = record
    session.lastActivity = performance.now()
    session.giving = { heir, epoch, range, next: 0, fetches: [] }
    const statement = encodeStatement({ session: session.id, epoch, nonce, client: session.client, upstream: heir, downstream: self, modelId: model.modelId, range, addresses: init.addresses() }, StatementDomain.transfer)
    reply(link, frame, { kind: Kind.confirmed, record: encodeSigned({ statement, signature: await init.sign(statement) }) })
  }

  function giveProblem ({ range: { from, to }, binding }: StageSession, { epoch, heir, range }: GiveRecord): string | undefined {
    if (!contains({ from, to }, range)) return `the session runs units ${from}:${to} here, not ${range.from}:${range.to}`
    if (keyValueBytesPerPosition(architecture, range) === 0) return 'these units have no keys and values'
    if (heir === self) return 'nobody takes from itself'
    return epoch > binding.epoch ? undefined : `epoch ${epoch} is not after ${binding.epoch}`
  }

  function deny ({ binding: { stage } }: StageSession, link: Link, frame: Frame, message: string): void {
    refuse(link, frame, { code: ErrorCode.transfer, message, stage, peer: self })
  }

  function fetch (session: StageSession | undefined, link: Link, frame: Frame): void {
    const giving = session?.giving
    if (session === undefined || giving?.heir !== link.peer || giving.epoch !== frame.epoch) return refuseStranger(link, frame, self)
    const problem = fetchProblem(session, giving, frame)
    if (problem !== undefined) return deny(session, link, frame, problem)
    giving.next = frame.position + frame.rows
    giving.fetches.push({ link, frame })
    if (!waiting.has(session)) advance(session)
  }

  function fetchProblem (session: StageSession, { next, fetches }: Giving, { position, rows }: Frame): string | undefined {
    const held = lengthOf(session)
    if (position < next) return `positions below ${next} have been given`
    if (position + rows > held) return `positions up to ${position + rows} of ${held}`
    if (fetches.length >= PIECES_UNDER_WAY) return `more than ${PIECES_UNDER_WAY} pieces at once`
    // what is read has all layers of the session, whatever the heir takes of it
    const bytes = rows * keyValueBytesPerPosition(architecture, session.range)
    return rows > 1 && bytes > MAXIMUM_PIECE_BYTES ? `a piece of ${rows} positions is above ${MAXIMUM_PIECE_BYTES} bytes` : undefined
  }

  /** Positions that stay as they are: a step that runs, or has been dropped, may replace what is behind it. */
  function lengthOf ({ host: { engine }, named: { engineSession }, expectedLength, pending }: StageSession): number {
    return Math.min(engine.sessionLength(engineSession), expectedLength, ...[...pending.values()].map(({ position }) => position))
  }

  /** One piece; the next one when the event loop has seen to others. */
  function advance (session: StageSession): void {
    waiting.delete(session)
    const [next] = session.giving?.fetches ?? []
    if (next === undefined) return
    const { link, frame } = next
    const { range, fetches } = session.giving!
    const { position, rows } = frame
    const bytes = rows * keyValueBytesPerPosition(architecture, range)
    if (!session.closed && !link.closed && !room.take(link, bytes)) {
      waiting.add(session)
      return
    }
    fetches.shift()
    if (session.closed) {
      refuseStranger(link, frame, self)
    } else if (!link.closed) {
      if (position + rows > lengthOf(session)) deny(session, link, frame, 'the positions have been given up')
      else send(session, link, frame)
      room.give(link, bytes)
    }
    waiting.add(session)
    setImmediate(() => { if (waiting.has(session)) advance(session) })
  }

  function send (session: StageSession, link: Link, frame: Frame): void {
    const { host: { engine }, named: { engineSession }, range } = session
    const { position, rows } = frame
    session.lastActivity = performance.now()
    let record
    try {
      record = layersOf(architecture, engine.readKeyValues(engineSession, position, position + rows), range, session.giving!.range)
    } catch (error) {
      return deny(session, link, frame, (error as Error).message)
    }
    reply(link, frame, { kind: Kind.keyValues, position, rows, record })
  }

  return { give, fetch }
}
