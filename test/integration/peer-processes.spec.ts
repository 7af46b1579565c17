import { expect } from 'chai'
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { connectRoute, createPeerNode, RouteLostError } from '../../src/peer/index.ts'
import type { PeerNode } from '../../src/peer/index.ts'
import { rejection, stubModel } from '../support/peers.ts'

const script = fileURLToPath(new URL('../support/stub-peer-process.ts', import.meta.url))

describe('peer: processes', function () {
  this.timeout(30_000)
  const children: ChildProcess[] = []
  let client: PeerNode

  async function start (from: number, to: number): Promise<{ child: ChildProcess, address: string }> {
    const child = fork(script, [String(from), String(to)])
    children.push(child)
    const address = await new Promise<string>((resolve, reject) => {
      child.once('message', message => resolve(String(message)))
      child.once('exit', code => reject(new Error(`a peer exited with ${code}`)))
    })
    return { child, address }
  }

  beforeEach(async () => {
    client = createPeerNode({})
    await client.start()
  })

  afterEach(async () => {
    await client.stop()
    for (const child of children.splice(0)) child.kill('SIGKILL')
  })

  for (const [signal, words] of [['SIGKILL', /lost/], ['SIGSTOP', /no sign of life/]] as const) {
    it(`names the stage and the peer after ${signal}, within 5 s`, async () => {
      const peers = await Promise.all([[0, 2], [2, 3], [3, 5], [5, 6]].map(async ([from, to]) => await start(from, to)))
      const session = await connectRoute({ node: client, addresses: peers.map(({ address }) => address), model: stubModel(), deadlines: { repair: 200 } })
      const generate = async (): Promise<void> => {
        for (;;) await session.step({ tokens: Uint32Array.of(session.length % 64), position: session.length < 1000 ? undefined : 0 })
      }
      const generation = rejection(generate())
      await session.step({ tokens: Uint32Array.of(1) })
      const lost = session.route[2].peerId
      const killed = performance.now()
      peers[2].child.kill(signal)
      const error = await generation as RouteLostError
      // a stated bound of the product, not a measure of this machine's speed
      expect(performance.now() - killed).to.be.lessThan(5000)
      expect(error).to.be.instanceOf(RouteLostError)
      expect(error.missing).to.deep.equal([3, 4])
      expect(error.message).to.contain('stage 3').and.contain(lost).and.match(words)
      await session.close()
    })
  }
})
