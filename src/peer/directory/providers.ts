import type { Libp2p, Libp2pEvents, Logger, PeerInfo } from '@libp2p/interface'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create } from 'multiformats/hashes/digest'
import { DHT_FIND_MILLISECONDS, DHT_FIRST_PROVIDE_MILLISECONDS, DHT_MET_MILLISECONDS, DHT_PAUSE_MILLISECONDS, DHT_PROTOCOL, DHT_PROVIDE_MILLISECONDS, MAXIMUM_DHT_PAUSE_MILLISECONDS } from './constants.ts'
import type { Clock } from './types.ts'

const SHA2_256 = 0x12

/** What names a model in the DHT: its id is a SHA-256 already. */
export function modelCid (modelId: string): CID {
  return CID.createV1(raw.code, create(SHA2_256, Buffer.from(modelId, 'hex')))
}

export interface ProvidersInit {
  libp2p: Pick<Libp2p, 'contentRouting' | 'addEventListener' | 'removeEventListener'>
  /** whose peers are wanted; undefined while that is open */
  modelId: () => string | undefined
  /** whether this node hosts the model, and should say so in the DHT */
  provides: () => boolean
  /** whether it knows others of its model already: they are found, and it with them */
  isKnown: () => boolean
  /** 0 ≤ x < 1 */
  random?: () => number
  clock: Clock
  log: Logger
}

/** Peers of a model by way of the DHT. */
export interface Providers {
  start (onPeer: (peer: Pick<PeerInfo, 'id' | 'multiaddrs'>) => void): void
  /** neighbours are wanted that nobody else knows: asks the DHT, unless that is under way or was done lately */
  look (): void
  stop (): void
}

/** Nothing is asked before a peer has been met that takes part in the DHT. */
export function createProviders ({ libp2p, modelId, provides, isKnown, random = Math.random, clock, log }: ProvidersInit): Providers {
  let onPeer: Parameters<Providers['start']>[0] = () => {}
  let stopping = new AbortController()
  let cancel = (): void => {}
  let met = false
  let wanted = false
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

  function look (): void {
    const now = clock.steady()
    const id = modelId()
    wanted = !met
    if (id === undefined || wanted || looking || now < nextLook || stopping.signal.aborted) return
    looking = true
    nextLook = now + pause
    pause = Math.min(2 * pause, MAXIMUM_DHT_PAUSE_MILLISECONDS)
    find(id).finally(() => { looking = false })
  }

  function onIdentify ({ detail: { protocols } }: Libp2pEvents['peer:identify']): void {
    if (!protocols.includes(DHT_PROTOCOL)) return
    libp2p.removeEventListener('peer:identify', onIdentify)
    cancel = clock.after(DHT_MET_MILLISECONDS, () => {
      met = true
      if (wanted) look()
      if (isKnown()) cancel = clock.after(DHT_FIRST_PROVIDE_MILLISECONDS * (1 + random()), provide)
      else provide()
    })
  }

  return {
    start (listener) {
      onPeer = listener
      stopping = new AbortController()
      libp2p.addEventListener('peer:identify', onIdentify)
    },
    look,
    stop () {
      stopping.abort()
      cancel()
      libp2p.removeEventListener('peer:identify', onIdentify)
    }
  }
}
