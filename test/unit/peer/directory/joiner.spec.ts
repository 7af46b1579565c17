import { defaultLogger } from '@libp2p/logger'
import { peerIdFromString } from '@libp2p/peer-id'
import { expect } from 'chai'
import { createJoiner } from '../../../../src/peer/directory/joiner.ts'
import type { JoinerInit } from '../../../../src/peer/directory/joiner.ts'
import { fakeClock, identity } from '../../../support/records.ts'

const settled = async (): Promise<void> => await new Promise(resolve => setImmediate(resolve))

describe('directory: joiner', () => {
  async function joiner (join: JoinerInit['join']) {
    const [self, other] = await Promise.all([1, 2].map(async number => peerIdFromString((await identity(number)).peerId)))
    const clock = fakeClock()
    const state = { answers: true, connected: false, dials: 0 }
    const libp2p = {
      peerId: self,
      getPeers: () => state.connected ? [other] : [],
      getConnections: (id: typeof other) => state.connected && id.equals(other) ? [{}] : [],
      async dial () {
        state.dials++
        if (!state.answers) throw new Error('nobody there')
        state.connected = true
        return { remotePeer: other }
      }
    } as unknown as JoinerInit['libp2p']
    const made = createJoiner({ libp2p, join, clock, random: () => 0.25, log: defaultLogger().forComponent('test') })
    const pass = async (milliseconds: number): Promise<void> => {
      for (let second = 0; second < milliseconds; second += 1000) {
        clock.pass(1000)
        await settled()
      }
    }
    return { made, state, pass, other: other.toString() }
  }

  it('tries again what does not answer', async () => {
    const { made, state, pass } = await joiner([{ address: '/ip4/1.2.3.4/tcp/4001', peerId: undefined }])
    state.answers = false
    made.start()
    await pass(21_000)
    expect(state.dials).to.equal(5)
    made.stop()
    await pass(60_000)
    expect(state.dials).to.equal(5)
  })

  it('does not dial whom it is connected with, also where the address does not say who it is', async () => {
    for (const peerId of [undefined, (await identity(2)).peerId]) {
      const { made, state, pass } = await joiner([{ address: '/ip4/1.2.3.4/tcp/4001', peerId }])
      made.start()
      await pass(60_000)
      expect(state.dials).to.equal(1)
      state.connected = false
      await pass(16_000)
      expect(state.dials).to.equal(2)
      made.stop()
    }
  })
})
