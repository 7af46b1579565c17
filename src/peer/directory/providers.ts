import type { Libp2p, Logger, PeerInfo } from '@libp2p/interface'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create } from 'multiformats/hashes/digest'
import { DHT_FIND_MILLISECONDS, DHT_PAUSE_MILLISECONDS, DHT_PROVIDE_MILLISECONDS, MAXIMUM_DHT_PAUSE_MILLISECONDS } from './constants.ts'
import type { Clock } from './types.ts'

const SHA2_256 = 0x12

/** What names a model in the DHT: its id is a SHA-256 already. */
export function modelCid (modelId: string): CID {
  return CID.createV1(raw.code, create(SHA2_256, Buffer.from(modelId, 'hex')))
}

export interface ProvidersInit {
  libp2p: Pick<Libp2p, 'contentRouting'>
  /** whose peers are wanted; undefined while that is open */
  modelId: () => string | undefined
  /** whether this node hosts the model, and should say so in the DHT */
  provides: () => boolean
  clock: Clock
  log: Logger
}

/** Peers of a model by way of the DHT. */
export interface Providers {
  start (onPeer: (peer: Pick<PeerInfo, 'id' | 'multiaddrs'>) => void): void
  /** neighbours are wanted: asks the DHT, unless that is under way or was done lately */
  look (): void
  stop (): void
}

export function createProviders ({ libp2p, modelId, provides, clock, log }: ProvidersInit): Providers {
  let onPeer: Parameters<Providers['start']>[0] = () => {}
  let stopping = new AbortController()
  let cancel = (): void => {}
  let looking = false
  let pause = DHT_PAUSE_MILLISECONDS
  let nextLook = -Infinity

  async function provide (): Promise<void> {
    // nobody may be there yet to keep the record: soon again then
    let again = DHT_PAUSE_MILLISECONDS
    const id = modelId()
    try {
      if (id === undefined || !provides()) return
      await libp2p.contentRouting.provide(modelCid(id), { signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(DHT_FIND_MILLISECONDS)]) })
      again = DHT_PROVIDE_MILLISECONDS
    } catch (error) {
      log.trace('cannot provide in the DHT: %s', (error as Error).message)
    } finally {
      if (!stopping.signal.aborted) cancel = clock.after(again, provide)
    }
  }

  async function find (id: string): Promise<void> {
    try {
      for await (const peer of libp2p.contentRouting.findProviders(modelCid(id), { signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(DHT_FIND_MILLISECONDS)]) })) onPeer(peer)
    } catch (error) {
      log.trace('cannot find in the DHT: %s', (error as Error).message)
    }
  }

  return {
    start (listener) {
      onPeer = listener
      stopping = new AbortController()
      provide()
    },
    look () {
      const now = clock.steady()
      const id = modelId()
      if (id === undefined || looking || now < nextLook || stopping.signal.aborted) return
      looking = true
      nextLook = now + pause
      pause = Math.min(2 * pause, MAXIMUM_DHT_PAUSE_MILLISECONDS)
      find(id).finally(() => { looking = false })
    },
    stop () {
      stopping.abort()
      cancel()
    }
  }
}
