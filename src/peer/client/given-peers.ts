import type { Libp2p } from '@libp2p/interface'
import { NothingHostedError, OtherModelError } from '../errors.ts'
import { askPeer } from '../node.ts'
import type { CandidateRecord, CandidateSource, PeerInfo, RouteProgress } from '../types.ts'

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

  return {
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
    // a session knows for itself what a peer has done to it, and nobody else listens
    suspect: () => {}
  }
}

function inOrder<T> (keys: readonly string[], values: Map<string, T>): T[] {
  return keys.flatMap(key => values.get(key) ?? [])
}
