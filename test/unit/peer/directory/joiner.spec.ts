import { expect } from 'chai'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { defaultLogger } from '@libp2p/logger'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { Libp2p, PeerId } from '@libp2p/interface'
import { createJoiner } from '../../../../src/peer/directory/joiner.ts'
import type { Clock } from '../../../../src/peer/directory/types.ts'

const peerId = async (): Promise<PeerId> => peerIdFromPrivateKey(await generateKeyPair('Ed25519'))

describe('peer/directory: staying connected with given addresses', () => {
  it('an address without a PeerId is not dialled again while its peer is connected', async () => {
    const [self, other] = [await peerId(), await peerId()]
    const dialled: string[] = []
    let connected = false
    let tick = (): void => {}
    const clock = {
      after: (_milliseconds: number, action: () => void) => {
        tick = action
        return () => {}
      }
    } as unknown as Clock
    const libp2p = {
      peerId: self,
      getPeers: () => connected ? [other] : [],
      getConnections: (peer: PeerId) => connected && peer.equals(other) ? [{}] : [],
      async dial (address: { toString: () => string }) {
        dialled.push(address.toString())
        connected = true
        return { remotePeer: other }
      }
    } as unknown as Libp2p
    const joined: string[] = []
    const joiner = createJoiner({
      libp2p,
      join: [{ address: '/dns4/bootstrap/tcp/4001', peerId: undefined }],
      clock,
      log: defaultLogger().forComponent('efedllm:test'),
      onEvent: event => { if (event.type === 'peer:join') joined.push(event.address) }
    })
    joiner.start()
    await new Promise(resolve => setImmediate(resolve))
    tick()
    tick()
    expect(dialled).to.deep.equal(['/dns4/bootstrap/tcp/4001'])
    connected = false
    tick()
    await new Promise(resolve => setImmediate(resolve))
    expect(dialled).to.have.length(2)
    expect(joined).to.have.length(2)
    joiner.stop()
  })
})
