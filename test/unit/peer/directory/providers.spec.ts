import { peerIdFromString } from '@libp2p/peer-id'
import { defaultLogger } from '@libp2p/logger'
import { expect } from 'chai'
import { DHT_FIRST_PROVIDE_MILLISECONDS, DHT_MET_MILLISECONDS, DHT_PAUSE_MILLISECONDS, DHT_PROTOCOL } from '../../../../src/peer/directory/constants.ts'
import { createProviders, modelCid } from '../../../../src/peer/directory/providers.ts'
import type { ProvidersInit } from '../../../../src/peer/directory/providers.ts'
import { dhtService } from '../../../../src/peer/directory/services.ts'
import { fakeClock, identity, MODEL } from '../../../support/records.ts'

const settled = async (): Promise<void> => await new Promise(resolve => setImmediate(resolve))

describe('directory: providers', () => {
  /** Counts what goes to the DHT. */
  function providers (changes: Partial<ProvidersInit> = {}) {
    const clock = fakeClock()
    const events = new EventTarget()
    const asked: string[] = []
    const state = { known: false, fails: false }
    const libp2p = Object.assign(events, {
      contentRouting: {
        async provide (cid: unknown) {
          asked.push(`provide ${String(cid)}`)
          if (state.fails) throw new Error('nobody there')
        },
        async * findProviders (cid: unknown) {
          asked.push(`find ${String(cid)}`)
          yield { id: 'somebody', multiaddrs: [] }
        }
      }
    }) as unknown as ProvidersInit['libp2p']
    const made = createProviders({ libp2p, modelId: () => MODEL, provides: () => true, isKnown: () => state.known, random: () => 0.5, clock, log: defaultLogger().forComponent('test'), ...changes })
    const found: unknown[] = []
    made.start(peer => found.push(peer))
    return {
      made,
      asked,
      found,
      state,
      meet: (protocols = [DHT_PROTOCOL]) => events.dispatchEvent(new CustomEvent('peer:identify', { detail: { protocols } })),
      async pass (milliseconds: number) {
        clock.pass(milliseconds)
        await settled()
      }
    }
  }

  const [provide, find] = [`provide ${modelCid(MODEL).toString()}`, `find ${modelCid(MODEL).toString()}`]

  it('ask nothing before a peer of the DHT is met, and then what was wanted meanwhile', async () => {
    const { made, asked, found, meet, pass } = providers()
    made.look()
    meet(['/another/1.0.0'])
    await pass(60_000)
    expect(asked).to.deep.equal([])
    meet()
    await pass(DHT_MET_MILLISECONDS)
    expect(asked).to.have.members([find, provide])
    expect(found).to.have.length(1)
    // once is enough
    meet()
    await pass(60_000)
    expect(asked).to.have.length(2)
  })

  it('do not hurry where others of the model are known', async () => {
    const { asked, state, meet, pass } = providers()
    state.known = true
    meet()
    await pass(DHT_FIRST_PROVIDE_MILLISECONDS)
    expect(asked).to.deep.equal([])
    await pass(DHT_FIRST_PROVIDE_MILLISECONDS)
    expect(asked).to.deep.equal([provide])
  })

  it('try again soon where nobody took it', async () => {
    const { asked, state, meet, pass } = providers()
    state.fails = true
    meet()
    await pass(DHT_MET_MILLISECONDS)
    state.fails = false
    await pass(DHT_PAUSE_MILLISECONDS)
    await pass(DHT_PAUSE_MILLISECONDS)
    expect(asked).to.deep.equal([provide, provide])
  })

  it('look less and less often', async () => {
    const { made, asked, meet, pass } = providers({ provides: () => false })
    meet()
    await pass(DHT_MET_MILLISECONDS)
    for (let second = 0; second < 60; second++) {
      made.look()
      await pass(1000)
    }
    expect(asked).to.have.length(4)
  })

  it('ask nothing after their end', async () => {
    const { made, asked, meet, pass } = providers()
    meet()
    made.stop()
    meet()
    made.look()
    await pass(200_000)
    expect(asked).to.deep.equal([])
  })
})

describe('directory: DHT', () => {
  it('learns whom it is connected with, and dials nobody only because somebody names him', async () => {
    const [own, met, named] = await Promise.all([1, 2, 3].map(async number => peerIdFromString((await identity(number)).peerId)))
    const components = {
      peerId: own,
      logger: defaultLogger(),
      events: new EventTarget(),
      connectionManager: { getConnections: (id: typeof own) => id.equals(met) ? [{}] : [] }
    }
    const dht = (await dhtService())(components as never) as unknown as {
      onPeerConnect (peer: unknown): Promise<void>
      routingTable: { queueRoutingTableUpdate (id: typeof own): void }
      network: EventTarget
    }
    const learnt: string[] = []
    dht.routingTable.queueRoutingTableUpdate = id => learnt.push(id.toString())
    for (const id of [named, met]) dht.network.dispatchEvent(new CustomEvent('peer', { detail: { id, multiaddrs: [{}] } }))
    await settled()
    expect(learnt).to.deep.equal([met.toString()])
  })
})
