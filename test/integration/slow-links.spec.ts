import { expect } from 'chai'
import { createEngine } from '../../src/engine/index.ts'
import type { Engine } from '../../src/engine/index.ts'
import { openModel } from '../../src/model/index.ts'
import type { Model, UnitRange } from '../../src/model/index.ts'
import { connectRoute, createPeerNode } from '../../src/peer/index.ts'
import type { PeerNode, RouteSession } from '../../src/peer/index.ts'
import { median } from '../../scripts/figures.ts'
import { freePorts } from '../support/free-ports.ts'
import { sotuPath } from '../support/golden-models.ts'
import { createSlowLink } from '../support/slow-link.ts'
import type { SlowLink } from '../support/slow-link.ts'

/** Milliseconds that bytes take, each way. */
const DELAY = 50
const RANGES: UnitRange[] = [{ from: 0, to: 4 }, { from: 4, to: 7 }, { from: 7, to: 10 }]
/** client, three stages, client */
const HOPS = RANGES.length + 1
const TOKENS = 25
/** A machine that is busy with something else may be late by more than five percent; one more way over a link would be twenty-five. */
const ROUNDS = 8
/** A chunk is twenty times the work of a token, and the first ones run code that is not compiled yet. */
const PROMPT_ROUNDS = 60

interface Stage {
  engine: Engine
  node: PeerNode
  /** what the client is told of */
  door: SlowLink
  /** what the stage tells other peers of */
  back: SlowLink
}

const bytesOf = ({ bytesThere, bytesBack }: SlowLink): number => bytesThere + bytesBack

describe('peer: a route whose links are slow', function () {
  this.timeout(240_000)
  let model: Model
  let stages: Stage[]
  let client: PeerNode
  let session: RouteSession

  async function startStage (range: UnitRange, port: number): Promise<Stage> {
    const engine = await createEngine({ architecture: model.architecture, range, unit: index => model.unit(index), threads: 1, keyValuePositions: 1024 })
    const [door, back] = await Promise.all([createSlowLink({ delay: DELAY }), createSlowLink({ delay: DELAY })])
    for (const link of [door, back]) link.leadTo(port)
    const node = createPeerNode({ engine, model, listen: [`/ip4/127.0.0.1/tcp/${port}`], announce: [back.address] })
    await node.start()
    return { engine, node, door, back }
  }

  before(async () => {
    model = await openModel(sotuPath)
    const ports = await freePorts(RANGES.length)
    stages = await Promise.all(RANGES.map(async (range, index) => await startStage(range, ports[index])))
    client = createPeerNode({})
    await client.start()
    session = await connectRoute({ node: client, addresses: stages.map(({ door, node }) => `${door.address}/p2p/${node.peerId}`), model })
  })

  after(async () => {
    await session?.close()
    await client?.stop()
    for (const { node, engine, door, back } of stages ?? []) {
      await node.stop()
      await engine.stop()
      await Promise.all([door.stop(), back.stop()])
    }
  })

  /** Decodes; gives for each token how long it took beyond the computation. */
  async function decode (tokens: number): Promise<number[]> {
    const times: number[] = []
    for (let token = 0; token < tokens; token++) {
      await session.step({ tokens: Uint32Array.of(5 + token), outputs: [{ row: 0, output: { kind: 'top', count: 1 } }] })
      const { totalMilliseconds, computeMilliseconds } = session.lastTimings!
      times.push(totalMilliseconds - computeMilliseconds.reduce((sum, span) => sum + span, 0))
    }
    return times
  }

  it('takes one way of each hop for a token, and no round trip beside', async () => {
    expect(session.route.map(({ range }) => range)).to.deep.equal(RANGES)
    await decode(5)
    const medians: number[] = []
    while (medians.length < ROUNDS && !(Math.min(...medians) <= HOPS * DELAY * 1.05)) medians.push(median(await decode(TOKENS)))
    // the links keep their word
    expect(Math.min(...medians)).to.be.at.least(HOPS * DELAY)
    expect(Math.min(...medians), `medians of ${medians.map(value => value.toFixed(1)).join(', ')} ms`).to.be.at.most(HOPS * DELAY * 1.05)
  })

  it('nor for a prompt that goes in one chunk', async () => {
    const outputs = [{ row: 63, output: { kind: 'top' as const, count: 1 } }]
    const times: number[] = []
    while (times.length < PROMPT_ROUNDS && !(Math.min(...times) <= HOPS * DELAY * 1.05)) {
      await session.step({ tokens: Uint32Array.from({ length: 64 }, (_value, index) => 7 + index), position: 0, outputs })
      const { totalMilliseconds, computeMilliseconds } = session.lastTimings!
      times.push(totalMilliseconds - computeMilliseconds.reduce((sum, span) => sum + span, 0))
    }
    expect(Math.min(...times), times.map(value => value.toFixed(1)).join(', ')).to.be.at.most(HOPS * DELAY * 1.05)
  })

  it('has the client carry no activations of hops in the middle', async () => {
    const row = model.architecture.hiddenSize * 4
    await decode(2)
    const doors = stages.map(({ door }) => door)
    const before = doors.map(({ bytesThere, bytesBack }) => ({ bytesThere, bytesBack }))
    const between = stages.map(({ back }) => bytesOf(back))
    await decode(TOKENS)
    const there = doors.map(({ bytesThere }, index) => bytesThere - before[index].bytesThere)
    const back = doors.map(({ bytesBack }, index) => bytesBack - before[index].bytesBack)
    const passed = stages.map(({ back }, index) => bytesOf(back) - between[index])
    // activations go from stage to stage
    expect(passed[0]).to.equal(0)
    for (const bytes of passed.slice(1)) expect(bytes).to.be.above(TOKENS * row)
    // the client says tokens to the first and hears results of the last, each smaller than a row of activations;
    // beside them is nothing but a sign of life of yamux now and then
    expect(there[0]).to.be.within(TOKENS, TOKENS * row / 2)
    expect(back[2]).to.be.within(TOKENS, TOKENS * row / 2)
    for (const bytes of [back[0], ...there.slice(1), back[1]]) expect(bytes).to.be.below(row)
  })
})
