import { expect } from 'chai'
import { openModel } from '../../src/model/index.ts'
import { connectRoute, createPeerNode, generate } from '../../src/peer/index.ts'
import type { Model } from '../../src/model/index.ts'
import type { PeerNode, RouteProgress } from '../../src/peer/index.ts'
import { killAll, startPeer } from './cli-process.ts'

const TOKENS = 24
const LAYERS = ['0:2', '2:4', '4:6', '6:8']
const prompt = 'Fellow-Citizens of the Senate and House of Representatives:'

type Process = Awaited<ReturnType<typeof startPeer>>

/** The program as it is installed, ended by the operating system in the midst of a text; test/integration/peer-recovery.spec.ts has all stages and tokens. */
describe('a peer process that is killed in mid-text', function () {
  this.timeout(240_000)
  let model: Model
  let client: PeerNode
  /** two for each range, by PeerId */
  const processes = new Map<string, Process>()

  async function start (layers: string): Promise<void> {
    const peer = await startPeer('--layers', layers, '--threads', '1', '--no-mdns', '--no-dht')
    processes.set(peer.ready.peerId, peer)
  }

  /** The text, where `act` is called before a token with the peers of the route. */
  async function text (token: number, act: (route: string[]) => void | Promise<void>): Promise<{ ids: number[], events: RouteProgress[] }> {
    const events: RouteProgress[] = []
    const addresses = [...processes.values()].map(({ address }) => address)
    const session = await connectRoute({ node: client, addresses, model, onProgress: event => events.push(event) })
    const ids: number[] = []
    try {
      for await (const event of generate({ session, tokenizer: model.tokenizer, promptIds: model.tokenizer.encode(prompt), options: { maximumTokens: TOKENS } })) {
        if (event.type !== 'token') continue
        ids.push(event.id)
        if (ids.length === token) await act(session.route.map(({ peerId }) => peerId!))
      }
    } finally {
      await session.close()
    }
    return { ids, events }
  }

  before(async () => {
    model = await openModel('models/sotu-4m')
    client = createPeerNode({})
    await client.start()
    await Promise.all(LAYERS.flatMap(layers => [start(layers), start(layers)]))
  })

  after(async () => {
    await client.stop()
    await killAll()
  })

  it('changes nothing of the text: 24 points, every stage at six tokens', async () => {
    const undisturbed = (await text(0, () => {})).ids
    expect(undisturbed).to.have.length(TOKENS)
    for (let point = 0; point < 24; point++) {
      const stage = point % LAYERS.length
      const token = 1 + (point * 7) % (TOKENS - 1)
      let victim = ''
      const { ids, events } = await text(token, route => {
        victim = route[stage]
        processes.get(victim)!.child.kill('SIGKILL')
      })
      expect(ids, `stage ${stage + 1} killed at token ${token}`).to.deep.equal(undisturbed)
      const repaired = events.filter(event => event.type === 'route:repaired')
      expect(repaired.length).to.be.at.least(1)
      expect(repaired.at(-1)!.repair.route.map(({ peerId }) => peerId)).to.not.include(victim)
      processes.delete(victim)
      await start(LAYERS[stage])
    }
  })

  it('nor does one that freezes', async () => {
    const undisturbed = (await text(0, () => {})).ids
    for (const stage of LAYERS.keys()) {
      let victim = ''
      const { ids } = await text(5 + stage, route => {
        victim = route[stage]
        processes.get(victim)!.child.kill('SIGSTOP')
      })
      expect(ids).to.deep.equal(undisturbed)
      processes.get(victim)!.child.kill('SIGKILL')
      processes.delete(victim)
      await start(LAYERS[stage])
    }
  })

  it('nor do two neighbours at once', async () => {
    const undisturbed = (await text(0, () => {})).ids
    const victims: string[] = []
    const { ids } = await text(9, route => {
      victims.push(route[1], route[2])
      for (const victim of victims) processes.get(victim)!.child.kill('SIGKILL')
    })
    expect(ids).to.deep.equal(undisturbed)
    for (const victim of victims) processes.delete(victim)
  })
})
