import { expect } from 'chai'
import { openModel } from '../../src/model/index.ts'
import type { Model } from '../../src/model/index.ts'
import { connectRoute, createPeerNode } from '../../src/peer/index.ts'
import type { PeerNode } from '../../src/peer/index.ts'
import { until } from '../support/directories.ts'
import { killAll, run, start, startPeer } from './cli-process.ts'

const prompt = 'Fellow-Citizens of the Senate and House of Representatives:'

describe('after the death of a peer process', function () {
  this.timeout(120_000)
  const nodes: PeerNode[] = []
  let model: Model

  before(async () => { model = await openModel('models/sotu-4m') })
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map(async node => await node.stop()))
    await killAll()
  })

  /** An observer that hears all announcements, or a client that knows nobody. */
  async function node (join?: string): Promise<PeerNode> {
    const made = createPeerNode({ discovery: join === undefined ? {} : { gossip: true, models: [model.modelId], join: [join] } })
    nodes.push(made)
    await made.start()
    return made
  }

  const peer = async (layers: string, ...join: string[]) => await startPeer('--layers', layers, '--threads', '1', '--no-mdns', '--no-dht', ...join.flatMap(address => ['--join', address]))

  it('it is in no route any more, and within 15 s nobody names it', async () => {
    const first = await peer('0:8')
    const [second, victim] = await Promise.all([peer('0:8', first.address), peer('0:8', first.address)])
    const survivors = [first, second].map(({ ready }) => ready.peerId)
    const observers = await Promise.all([node(first.address), node(second.address)])
    const known = (observer: PeerNode): string[] => observer.directory!.records(model.modelId).map(({ peerId }) => peerId)
    await until(() => observers.every(observer => known(observer).length === 3))
    victim.child.kill('SIGKILL')
    await victim.ended
    const died = performance.now()
    // the routes of the very next sessions, of clients that know it and one that is only told of it
    for (const client of [...observers, ...observers, await node()]) {
      const session = await connectRoute({ node: client, addresses: [first, second, victim].map(({ address }) => address), model })
      for (const { peerId } of session.route) expect(survivors).to.include(peerId)
      await session.close()
    }
    await until(() => observers.every(observer => !known(observer).includes(victim.ready.peerId)))
    // what the survivors tell somebody who has just come
    await until(async () => {
      const asked = await Promise.all([first, second].map(async ({ address }) => {
        const late = await node()
        await late.info(address)
        await late.directory!.refresh(model.modelId)
        return known(late)
      }))
      return asked.every(peers => peers.length > 0 && !peers.includes(victim.ready.peerId))
    })
    // 15 s are promised; the rest is for this test to look
    expect(performance.now() - died).to.be.below(20_000)
  })

  for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
    it(`efedllm prompt writes its text to the end and ends by itself: ${signal}`, async () => {
      const options = ['--max-tokens', '150']
      const alone = await run(['prompt', prompt, '--local', 'all', ...options])
      const [first, ...spares] = await Promise.all([peer('0:4'), peer('4:8'), peer('4:8')])
      const client = start(['prompt', prompt, '--join', [first, ...spares].map(({ address }) => address).join(), ...options])
      await client.until('stdout', /\w{3,} \w/)
      const asker = await node()
      const sessions = await Promise.all(spares.map(async ({ address }) => (await asker.info(address)).hosted!.sessions))
      const used = spares[sessions.indexOf(1)]
      used.child.kill(signal)
      const { code, stdout, stderr } = await client.ended
      // frozen, it would outlive the test
      used.child.kill('SIGKILL')
      expect(code, stderr).to.equal(0)
      expect(stderr).to.match(/was lost; \S+ continues/)
      expect(stdout).to.equal(alone.stdout)
    })
  }
})
