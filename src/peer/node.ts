import { noise } from '@chainsafe/libp2p-noise'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p, Logger, PrivateKey } from '@libp2p/interface'
import { defaultLogger } from '@libp2p/logger'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import {
  DEFAULT_DEADLINES, DEFAULT_LIMITS, INBOUND_CONNECTIONS_PER_SECOND, INFO_PROTOCOL, JOIN_INTERVAL_MILLISECONDS, MAXIMUM_INBOUND_STREAMS, MAXIMUM_INFO_STREAMS,
  MAXIMUM_CONNECTIONS_PER_PEER, MAXIMUM_HOSTED_RANGES, PENDING_INBOUND_CONNECTIONS, READ_BUFFER_BYTES, SOFTWARE, STAGE_PROTOCOL, STREAM_WINDOW_BYTES, WRITE_BUFFER_BYTES
} from './constants.ts'
import { createBlockServer } from './blocks/block-server.ts'
import type { BlockServer } from './blocks/block-server.ts'
import { BLOCKS_PROTOCOL, MAXIMUM_BLOCK_STREAMS } from './blocks/constants.ts'
import { createDialBudget, dialableAddresses } from './dial-rules.ts'
import { DeadlineError, DialRefusedError, InvalidAddressError, InvalidRequestError, NotStartedError, PeerError, PeerUnreachableError } from './errors.ts'
import { askInfo, infoBytes, serveInfo } from './info-protocol.ts'
import type { HostedInfo } from './info-protocol.ts'
import { loadOrCreateKey } from './key.ts'
import { createLinkPool } from './link-pool.ts'
import type { LinkPool } from './link-pool.ts'
import { createHost } from './stage/host.ts'
import type { Host } from './stage/host.ts'
import { createHostedRange } from './stage/hosted-range.ts'
import { createStageServer } from './stage/stage-server.ts'
import type { StageServer } from './stage/stage-server.ts'
import type { AbortOptions, HostedRange, HostInit, ModelIdentity, PeerInfo, PeerNode, PeerNodeInit } from './types.ts'
import type { Statement } from './wire/index.ts'

/** What the client side of this folder needs of a node; not for others. */
export interface StartedNode {
  libp2p: Libp2p
  links: LinkPool
  log: Logger
}

interface Parts extends StartedNode {
  privateKey: PrivateKey
  server?: StageServer
  blocks?: BlockServer
  joinTimer?: NodeJS.Timeout
}

const started = new WeakMap<PeerNode, () => StartedNode>()

/** Throws NotStartedError. */
export function startedNode (node: PeerNode): StartedNode {
  const get = started.get(node)
  if (get === undefined) throw new NotStartedError()
  return get()
}

/** A libp2p node over TCP, noise and yamux; with an engine it serves sessions. Nothing happens before `start`. */
export function createPeerNode (init: PeerNodeInit): PeerNode {
  if (init.engine !== undefined && init.model === undefined) throw new InvalidRequestError('an engine needs its model')
  const limits = { ...DEFAULT_LIMITS, ...init.limits }
  const hosts: Host[] = []
  const hosted: HostedRange[] = []
  let model: ModelIdentity | undefined
  const budget = createDialBudget(limits.dialsPerClientAndMinute)
  const joined = (init.join ?? []).map(address => ({ address, peerId: peerIdOf(address) }))
  let parts: Parts | undefined
  let starting: Promise<void> | undefined
  let stopping: Promise<void> | undefined

  const running = (): Parts => {
    if (parts === undefined) throw new NotStartedError()
    return parts
  }

  const announced = (libp2p: Libp2p): string[] => libp2p.getMultiaddrs().map(address => withoutPeer(address.toString()))

  async function begin (): Promise<void> {
    const privateKey = init.dataDirectory === undefined ? await generateKeyPair('Ed25519') : await loadOrCreateKey(init.dataDirectory)
    const libp2p = await createNode(init, privateKey)
    const log = libp2p.logger.forComponent('efedllm:peer')
    const links = createLinkPool(libp2p.logger.forComponent('efedllm:client'))
    const blocks = init.share === undefined ? undefined : createBlockServer({ store: init.share, limits, log: libp2p.logger.forComponent('efedllm:blocks') })
    // before start, so that identify names the protocols at once
    await libp2p.handle(INFO_PROTOCOL, stream => { serveInfo(stream, infoBytes(announced(libp2p), hostedInfo())).catch(error => stream.abort(error)) }, { maxInboundStreams: MAXIMUM_INFO_STREAMS })
    const all: Parts = { libp2p, links, log, privateKey, blocks }
    if (hosts.length > 0) await serve(all)
    if (blocks !== undefined) await libp2p.handle(BLOCKS_PROTOCOL, (stream, connection) => blocks.accept(stream, connection), { maxInboundStreams: MAXIMUM_BLOCK_STREAMS })
    try {
      await libp2p.start()
    } catch (error) {
      await all.server?.stop()
      await libp2p.stop()
      throw new InvalidAddressError((init.listen ?? []).join(', '), (error as Error).message, error)
    }
    parts = all
    if (hosts.length > 0) await serve(all)
    libp2p.addEventListener('connection:open', event => limitConnections(libp2p, event.detail))
    init.onEvent?.({ type: 'peer:start', peerId: libp2p.peerId.toString(), addresses: node.addresses })
    if (joined.length > 0) {
      joinAll(parts)
      parts.joinTimer = setInterval(() => { if (parts !== undefined) joinAll(parts) }, JOIN_INTERVAL_MILLISECONDS)
      parts.joinTimer.unref()
    }
  }

  /** Speaks the stage protocol from now on, if it does not yet. */
  async function serve (all: Parts): Promise<void> {
    if (all.server !== undefined) return
    const { libp2p, links, privateKey } = all
    const server = all.server = createStageServer({
      hosts,
      model: model!,
      limits,
      self: libp2p.peerId.toString(),
      addresses: () => announced(libp2p),
      sign: bytes => privateKey.sign(bytes),
      links,
      connect: async (statement, clientAddress, client, signal) => await connectOnward(libp2p, statement, clientAddress, client, signal),
      log: libp2p.logger.forComponent('efedllm:stage'),
      onEvent: init.onEvent
    })
    await libp2p.handle(STAGE_PROTOCOL, (stream, connection) => server.accept(stream, connection), { maxInboundStreams: MAXIMUM_INBOUND_STREAMS, maxOutboundStreams: MAXIMUM_INBOUND_STREAMS })
  }

  function hostedInfo (): HostedInfo | undefined {
    if (model === undefined) return undefined
    const { sessions = 0, queuedSteps = 0 } = parts?.server ?? {}
    const free = hosts.filter(({ state }) => state === 'serving').map(({ engine }) => engine.freePositions)
    return { model, limits, ranges: hosted, sessions, queuedSteps, freePositions: free.length === 0 ? 0 : Math.min(...free) }
  }

  function host ({ engine, model: hostedModel }: HostInit): HostedRange {
    const { from, to } = engine.range
    if (model !== undefined && model.modelId !== hostedModel.modelId) throw new InvalidRequestError(`a node hosts one model: ${model.modelId.slice(0, 12)}…, not ${hostedModel.modelId.slice(0, 12)}… too`)
    if (hosts.length >= MAXIMUM_HOSTED_RANGES) throw new InvalidRequestError(`a node hosts at most ${MAXIMUM_HOSTED_RANGES} ranges at once`)
    if (hosts.some(other => other.engine === engine)) throw new InvalidRequestError(`this engine hosts units ${from}:${to} here already`)
    model = hostedModel
    const added = createHost(engine)
    const range = createHostedRange({
      host: added,
      store: () => parts?.server?.store,
      onRemove: () => {
        hosts.splice(hosts.indexOf(added), 1)
        hosted.splice(hosted.indexOf(range), 1)
      }
    })
    hosts.push(added)
    hosted.push(range)
    if (parts !== undefined) serve(parts).catch(error => parts?.log.error('cannot serve sessions: %e', error))
    return range
  }
  if (init.engine !== undefined) host({ engine: init.engine, model: init.model! })

  async function joinAll ({ libp2p, log }: Parts): Promise<void> {
    await Promise.all(joined.map(async ({ address, peerId }) => {
      if (peerId !== undefined && libp2p.getConnections(peerIdFromString(peerId)).length > 0) return
      try {
        await libp2p.dial(multiaddr(address), { signal: AbortSignal.timeout(DEFAULT_DEADLINES.info) })
        init.onEvent?.({ type: 'peer:join', address })
      } catch (error) {
        log('cannot join %s: %s', address, (error as Error).message)
        init.onEvent?.({ type: 'peer:join', address, error: error as Error })
      }
    }))
  }

  /** docs/protocol.md, Dialling: the statement was verified before this is called. */
  async function connectOnward (libp2p: Libp2p, statement: Statement, clientAddress: string, client: string, signal: AbortSignal): Promise<Connection> {
    const peerId = peerIdFromString(statement.downstream)
    const present = libp2p.getConnections(peerId).find(connection => connection.status === 'open' && connection.limits === undefined)
    if (present !== undefined) return present
    const own = joined.filter(entry => entry.peerId === statement.downstream).map(entry => entry.address)
    if (own.length === 0 && init.dialPolicy === 'known') throw new DialRefusedError(statement.downstream, 'this stage connects only to peers it knows')
    const addresses = own.length > 0 ? own : dialableAddresses(statement.addresses, statement.downstream, clientAddress)
    if (addresses.length === 0) throw new DialRefusedError(statement.downstream, `none of its addresses (${statement.addresses.join(', ') || 'it names none'}) may be dialled for a client at ${clientAddress}`)
    if (!budget.take(client, performance.now())) throw new DialRefusedError(statement.downstream, `more than ${limits.dialsPerClientAndMinute} new connections a minute for one client`)
    return await libp2p.dial(addresses.map(address => multiaddr(address)), { signal })
  }

  const node: PeerNode = {
    get peerId () {
      return running().libp2p.peerId.toString()
    },
    get addresses () {
      return running().libp2p.getMultiaddrs().map(address => address.toString())
    },
    get sessions () {
      return parts?.server?.sessions ?? 0
    },
    hosted,
    host,
    async start (options = {}) {
      options.signal?.throwIfAborted()
      await stopping
      starting ??= begin().catch(error => {
        starting = undefined
        throw error
      })
      await starting
    },
    async stop () {
      if (starting === undefined) return
      stopping ??= (async () => {
        await starting?.catch(() => {})
        const old = parts
        parts = undefined
        starting = undefined
        if (old !== undefined) {
          clearInterval(old.joinTimer)
          old.blocks?.stop()
          await old.server?.stop()
          await old.links.stop()
          await old.libp2p.stop()
          init.onEvent?.({ type: 'peer:stop' })
        }
        stopping = undefined
      })()
      await stopping
    },
    async info (address, options: AbortOptions = {}) {
      return await askPeer(running().libp2p, address, DEFAULT_DEADLINES.info, options.signal)
    }
  }
  started.set(node, running)
  return node
}

/** Dials and asks. Throws PeerUnreachableError, IncompatibleVersionError, DeadlineError, InvalidAddressError, or the signal's reason. */
export async function askPeer (libp2p: Libp2p, address: string, milliseconds: number, signal?: AbortSignal): Promise<PeerInfo> {
  const deadline = AbortSignal.timeout(milliseconds)
  const both = signal === undefined ? deadline : AbortSignal.any([signal, deadline])
  try {
    const target = parseAddress(address)
    let connection
    try {
      connection = await libp2p.dial(target, { signal: both })
    } catch (error) {
      throw new PeerUnreachableError(address, error)
    }
    return await askInfo(connection, both)
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason
    if (deadline.aborted) throw new DeadlineError(`peer ${address}`, milliseconds)
    if (error instanceof PeerError) throw error
    throw new PeerUnreachableError(address, error)
  }
}

function parseAddress (address: string): ReturnType<typeof multiaddr> {
  try {
    return multiaddr(address)
  } catch (error) {
    throw new InvalidAddressError(address, 'is not a multiaddr', error)
  }
}

function peerIdOf (address: string): string | undefined {
  return parseAddress(address).getComponents().findLast(component => component.name === 'p2p')?.value
}

/** One of a peer's connections ends unnoticed now and then, and is replaced; who opens more and more of them wants something else. */
function limitConnections (libp2p: Libp2p, connection: Connection): void {
  const all = libp2p.getConnections(connection.remotePeer)
  if (all.length > MAXIMUM_CONNECTIONS_PER_PEER) connection.abort(new Error(`more than ${MAXIMUM_CONNECTIONS_PER_PEER} connections of one peer`))
}

function withoutPeer (address: string): string {
  return address.replace(/\/p2p\/[A-Za-z0-9]+$/, '')
}

async function createNode (init: PeerNodeInit, privateKey: PrivateKey): Promise<Libp2p> {
  return await createLibp2p({
    privateKey,
    start: false,
    nodeInfo: { userAgent: SOFTWARE },
    logger: init.logger ?? defaultLogger(),
    addresses: { listen: init.listen ?? [], announce: init.announce ?? [] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: STREAM_WINDOW_BYTES, maxReadBufferLength: READ_BUFFER_BYTES, maxWriteBufferLength: WRITE_BUFFER_BYTES } })],
    connectionManager: { inboundConnectionThreshold: INBOUND_CONNECTIONS_PER_SECOND, maxIncomingPendingConnections: PENDING_INBOUND_CONNECTIONS },
    // one slow ping must not end all sessions: stages have their own probes
    connectionMonitor: { abortConnectionOnPingFailure: false },
    services: { identify: identify(), ping: ping() }
  })
}
