import type { Connection } from '@libp2p/interface'
import type { Link } from '../link.ts'
import type { LinkPool } from '../link-pool.ts'
import type { ModelIdentity } from '../types.ts'
import { decodeNonce, encodeSigned, encodeStatement, ErrorCode, Kind } from '../wire/index.ts'
import type { Frame, Statement } from '../wire/index.ts'
import { openMilliseconds } from './opener.ts'
import { refuse, refuseStranger, reply } from './replies.ts'
import type { SessionStore } from './session-store.ts'
import { downstreamOf } from './stage-session.ts'
import type { StageSession } from './stage-session.ts'
import { verifyConfirmation } from './verify-confirmation.ts'

export interface ConnectorInit {
  model: ModelIdentity
  self: string
  /** multiaddrs under which others reach this node, without `/p2p` */
  addresses: () => string[]
  sign: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>
  links: LinkPool
  /** connects to a downstream that has confirmed; throws where the rules forbid it */
  connect: (statement: Statement, clientAddress: string, client: string, signal: AbortSignal) => Promise<Connection>
}

interface ConnectorParts extends ConnectorInit {
  store: SessionStore
  /** called when a neighbour has come */
  onNeighbour: (session: StageSession) => void
}

/** Connects neighbours that have agreed to it: docs/protocol.md, Opening a route and Dialling. */
export interface Connector {
  confirm (session: StageSession, link: Link, frame: Frame): Promise<void>
  connect (session: StageSession, link: Link, frame: Frame): Promise<void>
  /** the downstream's side of `connect` */
  attached (session: StageSession | undefined, link: Link, frame: Frame): void
}

/** The binding that the connection was for is of no more account. */
class BindingOverError extends Error {}

export function createConnector (init: ConnectorParts): Connector {
  const { model, self, store } = init

  async function confirm (session: StageSession, link: Link, frame: Frame): Promise<void> {
    const { epoch, upstream } = session.binding
    const statement = encodeStatement({
      session: session.id,
      epoch,
      nonce: decodeNonce(frame.record!),
      client: session.client,
      upstream,
      downstream: self,
      modelId: model.modelId,
      range: session.range,
      addresses: init.addresses()
    })
    reply(link, frame, { kind: Kind.confirmed, record: encodeSigned({ statement, signature: await init.sign(statement) }) })
  }

  async function connect (session: StageSession, link: Link, frame: Frame): Promise<void> {
    const { binding } = session
    const { epoch, downstream, nonce, stage } = binding
    binding.nonce = undefined
    let statement
    try {
      statement = await verifyConfirmation(frame.record!, { session: session.id, epoch, nonce, client: session.client, upstream: self, downstream, modelId: model.modelId, range: session.range })
    } catch (error) {
      return refuse(link, frame, { code: ErrorCode.confirmation, message: `the confirmation of ${downstream} does not hold: ${(error as Error).message}`, stage, peer: self })
    }
    try {
      await attach(session, statement, AbortSignal.any([AbortSignal.timeout(openMilliseconds(frame.deadline)), binding.over.signal]))
    } catch (error) {
      if (session.closed || session.binding !== binding) return
      if (binding.lost !== undefined) return refuse(link, frame, binding.lost)
      const { name, message } = error as Error
      if (name === 'DialRefusedError') return refuse(link, frame, { code: ErrorCode.dial, message, stage, peer: self })
      return store.suspend(session, { ...downstreamOf(binding), message }, frame.sequence)
    }
    reply(link, frame, { kind: Kind.done })
  }

  async function attach (session: StageSession, statement: Statement, signal: AbortSignal): Promise<void> {
    const { binding } = session
    const { epoch, downstream } = binding
    const done = Promise.withResolvers<void>()
    done.promise.catch(() => {})
    signal.addEventListener('abort', () => done.reject(new Error('no answer in time')), { once: true })
    const lose = (message: string): void => { if (!binding.over.signal.aborted) store.suspend(session, { ...downstreamOf(binding), message }) }
    let waiting = true
    const subscription = await init.links.subscribe(downstream, session.id, {
      onFrame: frame => {
        if (frame.epoch !== epoch) return
        if (waiting && frame.kind === Kind.done) done.resolve()
        else if (waiting && frame.kind === Kind.error) done.reject(new Error('it does not know the session'))
        else if (frame.kind === Kind.error) lose('it no longer holds the session')
      },
      onClose: error => {
        done.reject(error ?? new Error('it closed the connection'))
        if (!waiting) lose(`stage ${binding.stage} lost the connection to it`)
      }
    }, async signal => await init.connect(statement, session.clientLink.remoteAddress, session.client, signal), signal)
    try {
      if (binding.over.signal.aborted) throw new BindingOverError()
      subscription.link.send({ kind: Kind.attach, session: session.id, epoch, sequence: 0 })
      await done.promise
      if (binding.over.signal.aborted) throw new BindingOverError()
    } catch (error) {
      subscription.release()
      throw error
    }
    waiting = false
    binding.subscription = subscription
    binding.downstreamLink = subscription.link
    init.onNeighbour(session)
  }

  function attached (session: StageSession | undefined, link: Link, frame: Frame): void {
    if (session === undefined) return refuseStranger(link, frame, self)
    const { upstream, upstreamLink, epoch, lost } = session.binding
    const expected = upstream === link.peer && upstream !== session.client && upstreamLink === undefined && lost === undefined && epoch === frame.epoch
    if (!expected) return refuseStranger(link, frame, self)
    session.binding.upstreamLink = link
    init.onNeighbour(session)
    reply(link, frame, { kind: Kind.done })
  }

  return { confirm, connect, attached }
}
