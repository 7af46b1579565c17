import { expect } from 'chai'
import { createEngine } from '../../src/engine/index.ts'
import type { Engine } from '../../src/engine/index.ts'
import { openModel } from '../../src/model/index.ts'
import type { Model, UnitRange } from '../../src/model/index.ts'
import { connectRoute, createLocalRoute, createPeerNode } from '../../src/peer/index.ts'
import type { PeerNode, RouteRepair, RouteSession } from '../../src/peer/index.ts'
import { startedNode } from '../../src/peer/node.ts'
import { candidateSource } from '../support/candidates.ts'
import { sotuPath } from '../support/golden-models.ts'

const PROMPT = Uint32Array.from({ length: 70 }, (_value, index) => Math.imul(index + 5, 0x9E3779B1) >>> 22)

/** All logits of every token: a bit that is off would show. */
async function logits (session: RouteSession, tokens: number, before: (token: number) => void = () => {}): Promise<Float32Array[]> {
  const all: Float32Array[] = []
  let next = PROMPT
  while (all.length < tokens) {
    before(all.length)
    const [row] = await session.step({ tokens: next, outputs: [{ row: next.length - 1, output: { kind: 'logits' } }] })
    all.push(row.logits!)
    next = Uint32Array.of(row.logits!.indexOf(Math.max(...row.logits!)))
  }
  return all
}

describe('peer: recovery with real engines', function () {
  this.timeout(120_000)
  let model: Model
  let engines: Engine[] = []
  let nodes: PeerNode[] = []
  before(async () => { model = await openModel(sotuPath) })
  afterEach(async () => {
    await Promise.all(nodes.map(async node => await node.stop()))
    await Promise.all(engines.map(async engine => await engine.stop()))
    nodes = []
    engines = []
  })

  async function peer (range: UnitRange): Promise<PeerNode> {
    const engine = await createEngine({ architecture: model.architecture, range, unit: index => model.unit(index), threads: 1, keyValuePositions: 1024 })
    const node = createPeerNode({ engine, model, listen: ['/ip4/127.0.0.1/tcp/0'] })
    engines.push(engine)
    nodes.push(node)
    await node.start()
    return node
  }

  function kill (node: PeerNode): void {
    for (const connection of startedNode(node).libp2p.getConnections()) connection.abort(new Error('killed by the test'))
    node.stop()
  }

  it('gives the same bits after every kill, by whole peers and by parts of them', async () => {
    const end = model.architecture.layerCount + 2
    const ranges = [{ from: 0, to: 3 }, { from: 3, to: 5 }, { from: 5, to: 7 }, { from: 7, to: end }]
    const first = await Promise.all(ranges.map(peer))
    // parts of larger ranges, one whole model, and twins
    const spares = await Promise.all([{ from: 0, to: 5 }, { from: 5, to: end }, { from: 0, to: end }, { from: 2, to: 8 }].map(peer))
    const whole = await createEngine({ architecture: model.architecture, range: { from: 0, to: end }, unit: index => model.unit(index), threads: 1, keyValuePositions: 1024 })
    engines.push(whole)
    const undisturbed = await logits(createLocalRoute([whole]), 20)
    const client = createPeerNode({})
    nodes.push(client)
    await client.start()
    const repairs: RouteRepair[] = []
    const known = candidateSource([])
    const session = await connectRoute({
      node: client,
      addresses: first.map(node => node.addresses[0]),
      candidates: known,
      model,
      chunkRows: 16,
      onProgress: event => { if (event.type === 'route:repaired') repairs.push(event.repair) }
    })
    for (const { peerId, addresses, hosted } of spares) known.learn({ peerId, addresses, ranges: hosted.map(({ range, state }) => ({ range, state })) })
    const result = await logits(session, 20, token => {
      if (token % 4 !== 3) return
      // the one that can do everything stays
      const victims = session.route.map(({ peerId }) => [...first, ...spares].find(node => isRunning(node) && node.peerId === peerId)!).filter(node => node !== spares[2])
      if (victims.length > 0) kill(victims[(token >> 2) % victims.length])
    })
    expect(repairs.length).to.be.at.least(3)
    for (const [token, row] of result.entries()) expect(Buffer.from(row.buffer, row.byteOffset, row.byteLength).equals(Buffer.from(undisturbed[token].buffer, undisturbed[token].byteOffset, undisturbed[token].byteLength)), `token ${token}`).to.equal(true)
    await session.close()
  })
})

function isRunning (node: PeerNode): boolean {
  try {
    return node.peerId !== ''
  } catch {
    return false
  }
}
