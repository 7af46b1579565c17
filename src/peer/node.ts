import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, Libp2p, Logger, PrivateKey } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import {
  DEFAULT_DEADLINES, DEFAULT_LIMITS, INFO_PROTOCOL, MAXIMUM_CONNECTIONS, MAXIMUM_HOSTED_RANGES, MAXIMUM_INBOUND_STREAMS, MAXIMUM_INFO_STREAMS, STAGE_PROTOCOLS
} from './constants.ts'
import { createBlockServer } from './blocks/block-server.ts'
import type { BlockServer } from './blocks/block-server.ts'
import { BLOCKS_PROTOCOL, MAXIMUM_BLOCK_STREAMS } from './blocks/constants.ts'
import { keepCrowd, prepareDiscovery } from './directory/index.ts'
import type { Discovery, OwnState } from './directory/index.ts'
import { createDialBudget, dialableAddresses } from './dial-rules.ts'
import { DeadlineError, DialRefusedError, InvalidAddressError, InvalidRequestError, NotStartedError, PeerError, PeerUnreachableError } from './errors.ts'
import { askInfo, infoBytes, serveInfo } from './info-protocol.ts'
import type { HostedInfo } from './info-protocol.ts'
import { loadOrCreateKey } from './key.ts'
import { createLinkPool } from './link-pool.ts'
import type { LinkPool } from './link-pool.ts'
import { createNetwork, hasNetworkKey } from './network.ts'
import { createHost } from './stage/host.ts'
import type { Host } from './stage/host.ts'
import { createHostedRange } from './stage/hosted-range.ts'
import { createStageServer } from './stage/stage-server.ts'
import type { StageServer } from './stage/stage-server.ts'
import type { AbortOptions, AnnounceUpdate, HostedRange, HostedUnits, HostInit, ModelIdentity, PeerInfo, PeerNode, PeerNodeInit } from './types.ts'
import type { Statement } from './wire/index.ts'

/** What the client side of this folder needs of a node; not for others. */
export interface StartedNode {
  libp2p: Libp2p
  links: LinkPool
  log: Logger
}

interface Parts extends StartedNode {
  privateKey: PrivateKey
  /** multiaddrs that others are told, without `/p2p` */
  addresses: () => string[]
  server?: StageServer
  blocks?: BlockServer
  discovery: Discovery
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
  let model: ModelIdentity | undefined = init.model
  const budget = createDialBudget(limits.dialsPerClientAndMinute)
  const joined = [...init.join ?? [], ...init.discovery?.join ?? []].map(address => ({ address, peerId: peerIdOf(address) }))
  let parts: Parts | undefined
  let starting: Promise<void> | undefined
  let stopping: Promise<void> | undefined

  const running = (): Parts => {
    if (parts === undefined) throw new NotStartedError()
    return parts
  }

  const extra: AnnounceUpdate = {}

  function announced (): OwnState | undefined {
    const own = hostedInfo()
    const modelId = own?.model.modelId ?? init.discovery?.models?.[0]
    const ranges = saidRanges()
    if (modelId === undefined || (ranges.length === 0 && extra.claim === undefined)) return undefined
    return {
      modelId,
      ranges,
      sessions: own?.sessions ?? 0,
      queuedSteps: own?.queuedSteps ?? 0,
      freePositions: own?.freePositions ?? 0,
      speed: extra.speed ?? 0,
      claim: extra.claim
    }
  }

  /** What others are told: what is hosted, or what `announce` says of it; a range that drains serves nobody new, whatever is said. */
  function saidRanges (): HostedUnits[] {
    const { ranges = hosted } = extra
    return ranges.map(({ range, state }) => {
      const drains = hosted.some(other => other.state === 'draining' && other.range.from === range.from && other.range.to === range.to)
      return { range, state: drains ? 'draining' : state }
    })
  }

  async function begin (): Promise<void> {
    const privateKey = init.dataDirectory === undefined ? await generateKeyPair('Ed25519') : await loadOrCreateKey(init.dataDirectory)
    const network = await createNetwork(init, privateKey)
    const { libp2p, addresses } = network
    const log = libp2p.logger.forComponent('efedllm:peer')
    const links = createLinkPool(libp2p.logger.forComponent('efedllm:client'))
    const blocks = init.share === undefined ? undefined : createBlockServer({ store: init.share, limits, log: libp2p.logger.forComponent('efedllm:blocks') })
    // before start, so that identify names the protocols at once
    await libp2p.handle(INFO_PROTOCOL, stream => { serveInfo(stream, infoBytes(addresses(), hostedInfo())).catch(error => stream.abort(error)) }, { maxInboundStreams: MAXIMUM_INFO_STREAMS, runOnLimitedConnection: true })
    if (blocks !== undefined) await libp2p.handle(BLOCKS_PROTOCOL, (stream, connection) => blocks.accept(stream, connection), { maxInboundStreams: MAXIMUM_BLOCK_STREAMS })
    const discovery = await prepareDiscovery({ init: followingOwn(init), network, key: privateKey, join: joined, state: announced })
    const all: Parts = { libp2p, links, log, privateKey, blocks, discovery, addresses }
    keepCrowd({
      libp2p,
      maximum: MAXIMUM_CONNECTIONS,
      inUse: ({ remoteAddr }) => all.server?.usedAddresses.has(remoteAddr.toString()) === true,
      known: connection => discovery.neighbours.has(connection.remotePeer.toString()) || connection.streams.some(({ protocol }) => protocol === BLOCKS_PROTOCOL)
    })
    if (hosts.length > 0) await serve(all)
    try {
      await libp2p.start()
    } catch (error) {
      await all.server?.stop()
      await libp2p.stop()
      throw new InvalidAddressError((init.listen ?? []).join(', '), (error as Error).message, error)
    }
    parts = all
    if (hosts.length > 0) await serve(all)
    init.onEvent?.({ type: 'peer:start', peerId: libp2p.peerId.toString(), addresses: node.addresses })
    discovery.start()
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
      addresses: all.addresses,
      sign: bytes => privateKey.sign(bytes),
      links,
      connect: async (statement, clientAddress, client, signal) => await connectOnward(libp2p, statement, clientAddress, client, signal),
      log: libp2p.logger.forComponent('efedllm:stage'),
      onEvent: init.onEvent
    })
    await libp2p.handle(STAGE_PROTOCOLS, (stream, connection) => server.accept(stream, connection), { maxInboundStreams: MAXIMUM_INBOUND_STREAMS, maxOutboundStreams: MAXIMUM_INBOUND_STREAMS })
  }

  function hostedInfo (): HostedInfo | undefined {
    if (model === undefined) return undefined
    const { sessions = 0, queuedSteps = 0 } = parts?.server ?? {}
    const free = hosts.filter(({ state }) => state === 'serving').map(({ engine }) => engine.freePositions)
    return { model, limits, ranges: saidRanges(), sessions, queuedSteps, freePositions: free.length === 0 ? 0 : Math.min(...free) }
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
      onChange: () => parts?.discovery.changed(),
      onRemove: () => {
        hosts.splice(hosts.indexOf(added), 1)
        hosted.splice(hosted.indexOf(range), 1)
        parts?.discovery.changed()
      }
    })
    hosts.push(added)
    hosted.push(range)
    if (parts !== undefined) serve(parts).catch(error => parts?.log.error('cannot serve sessions: %e', error))
    parts?.discovery.changed()
    return range
  }
  if (init.engine !== undefined) host({ engine: init.engine, model: init.model! })

  /** docs/protocol.md, Dialling: the statement was verified before this is called. */
  async function connectOnward (libp2p: Libp2p, statement: Statement, clientAddress: string, client: string, signal: AbortSignal): Promise<Connection> {
    const peerId = peerIdFromString(statement.downstream)
    const present = libp2p.getConnections(peerId).find(connection => connection.status === 'open' && connection.limits === undefined)
    if (present !== undefined) return present
    const own = joined.filter(entry => entry.peerId === statement.downstream).map(entry => entry.address)
    if (own.length === 0 && init.dialPolicy === 'known') throw new DialRefusedError(statement.downstream, 'this stage connects only to peers it knows')
    const addresses = own.length > 0 ? own : dialableAddresses(statement.addresses, statement.downstream, clientAddress)
    if (addresses.length === 0) throw new DialRefusedError(statement.downstream, `none of its addresses (${statement.addresses.join(', ') || 'it names none'}) may be dialled for a client at ${clientAddress}`)
    const cameAbout = budget.take(client, performance.now())
    if (cameAbout === undefined) throw new DialRefusedError(statement.downstream, `more than ${limits.dialsPerClientAndMinute} new connections a minute for one client`)
    const connection = await libp2p.dial(addresses.map(address => multiaddr(address)), { signal })
    cameAbout()
    return connection
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
    get directory () {
      return parts?.discovery.directory
    },
    announce (update) {
      Object.assign(extra, update)
      parts?.discovery.changed()
    },
    async reachability (options) {
      return await running().discovery.reachability(options)
    },
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
          await old.discovery.stop()
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

/** The model that a node hosts, or is going to, is followed from the start. */
function followingOwn (init: PeerNodeInit): PeerNodeInit {
  const { discovery, model } = init
  return discovery === undefined || model === undefined ? init : { ...init, discovery: { ...discovery, models: [model.modelId, ...discovery.models ?? []] } }
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
      throw new PeerUnreachableError(address, hasNetworkKey(libp2p) ? new Error(`${(error as Error).message} (it may have another network key, or none)`, { cause: error }) : error)
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
