import { expect } from 'chai'
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { createEngine } from '../../src/engine/index.ts'
import type { Engine, RowResult } from '../../src/engine/index.ts'
import { openModel } from '../../src/model/index.ts'
import { createLocalRoute, createLocalSession, createPeerNode } from '../../src/peer/index.ts'
import type { PeerNode } from '../../src/peer/index.ts'
import { ErrorCode, Kind } from '../../src/peer/wire/index.ts'
import { sotuPath } from '../support/golden-models.ts'
import { createSwarm, rawLink } from '../support/peers.ts'
import { createRawRoute } from '../support/raw-route.ts'
import type { RawRoute, RawStage } from '../support/raw-route.ts'
import { createStubEngine } from '../support/stub-engine.ts'

interface AddressedStage extends RawStage {
  address: string
}

const script = fileURLToPath(new URL('../support/stub-peer-process.ts', import.meta.url))
const ids = (length: number, seed = 0): Uint32Array => Uint32Array.from({ length }, (_value, index) => Math.imul(index + 1 + seed * 977, 0x9E3779B1) >>> 26)
const logits = (results: RowResult[]): unknown => results.map(({ logits }) => logits)

/** A session over TCP; `stages` may be any with an address. */
function createRoute (node: PeerNode, modelId?: string): RawRoute {
  const session = randomBytes(16).toString('hex')
  return createRawRoute(async stage => await rawLink(node, (stage as AddressedStage).address, session, modelId))
}

describe('peer: replay', function () {
  this.timeout(60_000)
  const swarm = createSwarm()
  const children: ChildProcess[] = []
  afterEach(async () => {
    await swarm.stop()
    for (const child of children.splice(0)) child.kill('SIGKILL')
  })

  async function start (from: number, to: number): Promise<AddressedStage & { child: ChildProcess }> {
    const child = fork(script, [String(from), String(to)])
    children.push(child)
    const [address] = await once(child, 'message') as [string]
    return { child, address, peerId: address.replace(/.*\//, ''), range: { from, to } }
  }

  it('gives the undisturbed bits after the SIGKILL of a process, whichever it is and wherever it comes', async () => {
    let stages = await Promise.all([[0, 2], [2, 4], [4, 6]].map(async ([from, to]) => await start(from, to)))
    const route = createRoute(await swarm.client())
    await route.bind(stages)
    const reference = createLocalSession(createStubEngine({ from: 0, to: 6 }))
    const outputs = (length: number) => [{ row: length - 1, output: { kind: 'logits' as const } }]
    const step = async (tokens: Uint32Array): Promise<void> => {
      expect(logits(await route.step(tokens))).to.deep.equal(logits(await reference.step({ tokens, outputs: outputs(tokens.length) })))
    }
    await step(ids(100))
    for (const [turn, lost] of [1, 2, 0, 1].entries()) {
      await step(ids(1, turn))
      // also while a step is on its way, or nothing is
      if (turn % 2 === 0) route.send(ids(30, turn))
      stages[lost].child.kill('SIGKILL')
      await once(stages[lost].child, 'exit')
      const { from, to } = stages[lost].range
      const spares = turn === 3 ? await Promise.all([start(from, from + 1), start(from + 1, to)]) : [await start(from, to)]
      stages = [...stages.slice(0, lost), ...spares, ...stages.slice(lost + 1)]
      await route.repair(stages)
      for (const link of route.links) link.frames.length = 0
      await step(ids(2, 10 + turn))
    }
    expect(stages).to.have.length(4)
  })

  it('gives the same bits with a real engine, of parts of what peers host, too', async () => {
    const model = await openModel(sotuPath)
    const { architecture } = model
    const units = architecture.layerCount + 2
    const engines: Engine[] = []
    const nodes: PeerNode[] = []
    const host = async (from: number, to: number): Promise<AddressedStage & { node: PeerNode }> => {
      const engine = await createEngine({ architecture, range: { from, to }, unit: index => model.unit(index), threads: 1, keyValuePositions: 1024 })
      engines.push(engine)
      const node = createPeerNode({ engine, model, listen: ['/ip4/127.0.0.1/tcp/0'] })
      nodes.push(node)
      await node.start()
      return { node, peerId: node.peerId, address: node.addresses[0], range: { from, to } }
    }
    try {
      const whole = await createEngine({ architecture, range: { from: 0, to: units }, unit: index => model.unit(index), threads: 1, keyValuePositions: 1024 })
      engines.push(whole)
      const reference = createLocalRoute([whole])
      const [first, middle, last] = [await host(0, 2), await host(2, 4), await host(4, units)]
      const route = createRoute(await swarm.client(), model.modelId)
      await route.bind([first, middle, last])
      const step = async (tokens: Uint32Array): Promise<void> => {
        const outputs = [{ row: tokens.length - 1, output: { kind: 'logits' as const } }]
        expect(logits(await route.step(tokens))).to.deep.equal(logits(await reference.step({ tokens, outputs })))
      }
      await step(ids(90))
      await step(ids(1, 1))
      // it dies with a step under way
      route.send(ids(20, 2))
      for (const connection of [middle.node]) await connection.stop()
      const wide = await host(1, units - 1)
      const opened = await route.repair([first, { ...wide, range: { from: 2, to: 4 } } as AddressedStage, last])
      expect(opened.map(({ held, kept }) => [held >= 91, kept >= 91])).to.deep.equal([[true, true], [false, false], [true, false]])
      await step(ids(3, 3))
      await first.node.stop()
      await last.node.stop()
      const all = await host(0, units)
      // two stages: the wide peer goes on with the part it has, another one runs what comes before; and a third the rest
      const end = await host(3, units)
      await route.repair([{ ...all, range: { from: 0, to: 2 } } as AddressedStage, { ...wide, range: { from: 2, to: 4 } } as AddressedStage, { ...end, range: { from: 4, to: units } } as AddressedStage])
      await step(ids(2, 4))
      await reference.close()
    } finally {
      await Promise.all(nodes.map(async node => await node.stop()))
      for (const engine of engines) await engine.stop()
    }
  })

  it('gives a stage that was cut off for a moment its place again', async () => {
    const peers = await swarm.peers([{ from: 0, to: 2 }, { from: 2, to: 4 }, { from: 4, to: 6 }])
    const stages = peers.map(({ node, address, engine }) => ({ peerId: node.peerId, address, range: engine.range }))
    const route = createRoute(await swarm.client())
    await route.bind(stages)
    const tokens = ids(80)
    await route.step(tokens)
    peers[1].cut()
    for (const link of [route.links[0], route.links[2]]) expect(await link.nextError()).to.include({ code: ErrorCode.peerLost, sessionLost: false, peer: peers[1].node.peerId })
    await route.links[1].closed
    await peers[1].event('peer:session-close')
    const opened = await route.repair(stages)
    // its client's stream has ended, and with it the session
    expect(opened.map(({ held, kept }) => [held, kept])).to.deep.equal([[80, 80], [0, 0], [80, 0]])
    const reference = createLocalSession(createStubEngine({ from: 0, to: 6 }))
    await reference.step({ tokens })
    expect(logits(await route.step(ids(2, 1)))).to.deep.equal(logits(await reference.step({ tokens: ids(2, 1), outputs: [{ row: 1, output: { kind: 'logits' } }] })))
    expect(peers.map(({ node }) => node.sessions)).to.deep.equal([1, 1, 1])
    for (const link of route.links) link.send({ kind: Kind.close })
    for (const [index, peer] of peers.entries()) await peer.event('peer:session-close', index === 1 ? 2 : 1)
    for (const { engine } of peers) expect(engine.freePositions).to.equal(1 << 20)
  })
})
