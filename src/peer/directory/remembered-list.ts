import type { Logger } from '@libp2p/interface'
import { REMEMBER_AGAIN_MILLISECONDS, WRITE_REMEMBERED_MILLISECONDS } from './constants.ts'
import { prune, remember, rememberFailure } from './remembered.ts'
import type { RememberedPeer } from './remembered.ts'
import { readRemembered, writeRemembered } from './remembered-file.ts'
import type { Clock, PeerRecord } from './types.ts'

/** The list of good peers of a node, in memory and in its file. */
export interface RememberedList {
  /** those of a model */
  peers (modelId: string): RememberedPeer[]
  /** a neighbour that announces itself */
  met (record: Pick<PeerRecord, 'peerId' | 'addresses' | 'modelId'>): void
  failed (peerId: string): void
  /** writes what has not been written yet; never throws */
  close (): Promise<void>
}

export async function openRememberedList (path: string, clock: Clock, log: Logger): Promise<RememberedList> {
  let peers = prune(await readRemembered(path), clock.wall())
  let writing = Promise.resolve()
  let cancel: (() => void) | undefined

  function write (): void {
    cancel = undefined
    // one after the other: the last one has the newest list
    writing = writing.then(async () => await writeRemembered(path, peers)).catch(error => log.error('cannot write %s: %s', path, (error as Error).message))
  }

  function change (next: RememberedPeer[]): void {
    peers = next
    cancel ??= clock.after(WRITE_REMEMBERED_MILLISECONDS, write)
  }

  return {
    peers: modelId => peers.filter(peer => peer.modelId === modelId),
    met ({ peerId, addresses, modelId }) {
      const known = peers.find(peer => peer.peerId === peerId)
      if (addresses.length === 0 || (known?.failures === 0 && clock.wall() - known.seen < REMEMBER_AGAIN_MILLISECONDS)) return
      change(remember(peers, { peerId, addresses, modelId, seen: clock.wall() }))
      if (known !== undefined) return
      // one met for the first time is written down before anything can happen to us
      cancel?.()
      write()
    },
    failed (peerId) {
      if (peers.some(peer => peer.peerId === peerId)) change(rememberFailure(peers, peerId, clock.wall()))
    },
    async close () {
      if (cancel !== undefined) {
        cancel()
        write()
      }
      await writing
    }
  }
}
