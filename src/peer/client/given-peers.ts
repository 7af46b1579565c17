import type { Libp2p } from '@libp2p/interface'
import { GATHER_INFO_MILLISECONDS } from '../constants.ts'
import { NothingHostedError, OtherModelError } from '../errors.ts'
import { askPeer } from '../node.ts'
import type { AbortOptions, CandidateRecord, CandidateSource, PeerInfo, RouteProgress } from '../types.ts'

export interface GivenPeersInit {
  libp2p: Libp2p
  addresses: readonly string[]
  modelId: string
  /** for dialling and asking one of them */
  milliseconds: number
  onProgress?: (event: RouteProgress) => void
}

/** The peers at addresses that somebody has typed, as they last answered. */
export interface GivenPeers extends CandidateSource {
  /** of those that host the model */
  readonly infos: PeerInfo[]
  /** why addresses were of no use when they were last asked */
  readonly problems: Error[]
  /** Asks all; where enough have answered, those that keep us waiting may answer later. Throws the signal's reason. */
  gather (isEnough: () => boolean, options: AbortOptions): Promise<void>
}

/** Nobody is asked before `refresh`. */
export function createGivenPeers ({ libp2p, addresses, modelId, milliseconds, onProgress }: GivenPeersInit): GivenPeers {
  const infos = new Map<string, PeerInfo>()
  const problems = new Map<string, Error>()
  const listeners = new Set<() => void>()
  let asking: Promise<void> | undefined

  async function ask (address: string, signal: AbortSignal | undefined): Promise<void> {
    let problem: Error | undefined
    try {
      const info = await askPeer(libp2p, address, milliseconds, signal)
      problem = usable(info)
      if (problem === undefined) {
        onProgress?.({ type: 'route:info', address, info })
        infos.set(address, info)
        problems.delete(address)
        return
      }
    } catch (error) {
      signal?.throwIfAborted()
      problem = error as Error
    }
    infos.delete(address)
    problems.set(address, problem)
    onProgress?.({ type: 'route:unusable', address, error: problem })
  }

  function usable ({ peerId, hosted }: PeerInfo): Error | undefined {
    if (hosted === undefined) return new NothingHostedError(peerId)
    return hosted.modelId === modelId ? undefined : new OtherModelError(peerId, modelId, hosted.modelId)
  }

  async function askAll (signal: AbortSignal | undefined): Promise<void> {
    await Promise.all(addresses.map(async address => {
      await ask(address, signal)
      for (const listener of listeners) listener()
    }))
  }

  const peers: GivenPeers = {
    get infos () {
      return inOrder(addresses, infos)
    },
    get problems () {
      return inOrder(addresses, problems)
    },
    records () {
      const records = new Map<string, CandidateRecord>()
      for (const address of addresses) {
        const info = infos.get(address)
        if (info === undefined || records.has(info.peerId)) continue
        records.set(info.peerId, { peerId: info.peerId, addresses: [address, ...info.addresses], ranges: info.hosted!.ranges, queuedSteps: info.hosted!.queuedSteps })
      }
      return [...records.values()]
    },
    onChange (listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    async refresh (_modelId, { signal } = {}) {
      // one round at a time, for all who wait
      asking ??= askAll(signal).finally(() => { asking = undefined })
      await asking
    },
    async gather (isEnough, { signal }) {
      const all = peers.refresh(modelId, { signal })
      all.catch(() => {})
      const enough = Promise.withResolvers<void>()
      let timer: NodeJS.Timeout | undefined
      const end = peers.onChange(() => { if (timer === undefined && isEnough()) timer = setTimeout(enough.resolve, GATHER_INFO_MILLISECONDS) })
      try {
        await Promise.race([all, enough.promise])
      } finally {
        end()
        clearTimeout(timer)
      }
    },
    // a session knows for itself what a peer has done to it, and nobody else listens
    suspect: () => {}
  }
  return peers
}

function inOrder<T> (keys: readonly string[], values: Map<string, T>): T[] {
  return keys.flatMap(key => values.get(key) ?? [])
}
