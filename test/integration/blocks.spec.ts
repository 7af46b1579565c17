import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'chai'
import { createBlockStore, decodeBlobHeader, openModel, packModel, readPackage, readTensorBytes, verifyPackage } from '../../src/model/index.ts'
import type { BlockStore, Manifest } from '../../src/model/index.ts'
import { BLOCKS_PROTOCOL } from '../../src/peer/blocks/constants.ts'
import { encodeBlockAnswer, encodeBlockRequest } from '../../src/peer/blocks/codec.ts'
import { modelCosts } from '../../src/partition/index.ts'
import { BlocksUnavailableError, createPeerNode, fetchManifest, fetchUnits, fetchUnitSources } from '../../src/peer/index.ts'
import type { FetchedUnits, FetchEvent, PeerLimits, PeerNode } from '../../src/peer/index.ts'
import { startedNode } from '../../src/peer/node.ts'
import { MEDIUM, meddlingStore, writeRandomPackage } from '../support/packages.ts'
import { rejection } from '../support/rejection.ts'
import { sharedPath } from '../support/shared-data.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

describe('blocks: packages between peers', function () {
  this.timeout(60_000)
  const folder = temporaryFolder()
  const nodes: PeerNode[] = []
  let count = 0
  const fresh = (): string => folder.path(`fetched-${count++}`)
  let source: string
  let manifest: Manifest
  let store: BlockStore
  let client: PeerNode

  async function serve (share: BlockStore | undefined, options: { listen?: string, limits?: Partial<PeerLimits> } = {}): Promise<PeerNode> {
    const node = createPeerNode({ share, listen: [options.listen ?? '/ip4/127.0.0.1/tcp/0'], limits: options.limits })
    nodes.push(node)
    await node.start()
    return node
  }

  before(async function () {
    source = folder.path('source')
    await writeRandomPackage(folder, source, MEDIUM)
    manifest = readPackage(source).manifest
    store = createBlockStore([source])
  })

  beforeEach(async function () {
    client = createPeerNode({})
    nodes.push(client)
    await client.start()
  })

  afterEach(async function () {
    await Promise.all(nodes.splice(0).map(async node => await node.stop()))
  })

  /** embed, layers 0:2 */
  const quarter = { from: 0, to: 3 }
  const blobsOf = (...units: number[]): string[] => [...units.map(unit => manifest.units[unit]), manifest.tokenizer].sort()
  const dataBytes = (ids: string[]): number => ids.reduce((sum, id) => sum + decodeBlobHeader(store.header(id)!, id).dataLength, 0)

  /** Exactly these blobs, equal to those of the source, and no other file with weights. */
  function expectHolds (directory: string, ids: string[], from = source): void {
    expect(readdirSync(join(directory, 'blobs')).sort()).to.deep.equal(ids)
    for (const id of ids) expect(readFileSync(join(directory, 'blobs', id)).equals(readFileSync(join(from, 'blobs', id))), id).to.equal(true)
    const others = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile() && !entry.parentPath.endsWith('blobs'))
    expect(others.map(({ name }) => name).sort()).to.deep.equal(['manifest.json'])
  }

  async function fetchQuarter (addresses: string[], directory: string, events: FetchEvent[] = [], signal?: AbortSignal): Promise<FetchedUnits> {
    return await fetchUnits({ node: client, addresses, manifest, range: quarter, directory, onEvent: event => events.push(event) }, { signal })
  }

  it('ends with words where nobody has the model, gives blocks, or can be reached', async function () {
    const strangers = [await serve(createBlockStore([])), await serve(undefined)]
    const gone = await serve(store)
    const addresses = [...strangers, gone].map(({ addresses }) => addresses[0])
    await gone.stop()
    const error = await rejection(fetchManifest({ node: client, addresses, modelId: readPackage(source).modelId }))
    expect(error).to.be.instanceOf(BlocksUnavailableError).with.property('message').that.matches(/the manifest of model .*does not have it.*does not speak \/efedllm\/blocks\/1\.0\.0/)
    expect(await rejection(fetchManifest({ node: client, addresses: ['nonsense'], modelId: 'a'.repeat(64) }))).to.have.property('code', 'ERR_INVALID_ADDRESS')
  })

  it('fetches a manifest by its hash, and a range of units and nothing else, in one call', async function () {
    const peers = [await serve(store), await serve(store)]
    const addresses = peers.map(({ addresses }) => addresses[0])
    const fetchedManifest = await fetchManifest({ node: client, addresses, modelId: readPackage(source).modelId })
    expect(fetchedManifest).to.deep.equal(manifest)
    const directory = fresh()
    const events: FetchEvent[] = []
    const ids = blobsOf(0, 1, 2)
    expect(await fetchQuarter(addresses, directory, events)).to.deep.equal({ fetched: dataBytes(ids), found: 0 })
    expectHolds(directory, ids)
    const model = await openModel(directory)
    expect(model.modelId).to.equal(readPackage(source).modelId)
    expect(model.name).to.match(/^fetched-/)
    expect(() => model.unit(3)).to.throw('layer 2 is not here')
    expect(events.at(-1)).to.deep.equal({ type: 'blocks:progress', received: dataBytes(ids), total: dataBytes(ids), fetched: dataBytes(ids) })
    // again: nothing is asked for
    expect(await fetchQuarter(addresses, directory)).to.deep.equal({ fetched: 0, found: dataBytes(ids) })
  })

  it('says what units would take before any of them is here, also of those that nobody has', async function () {
    const costs = modelCosts(await openModel(source))
    const costsOf = async (...packages: string[]) => {
      const addresses = await Promise.all(packages.map(async directory => (await serve(createBlockStore([directory]))).addresses[0]))
      const directory = fresh()
      const unit = await fetchUnitSources({ node: client, addresses, manifest, directory })
      expect(existsSync(directory)).to.equal(false)
      return modelCosts({ architecture: manifest.architecture, unit })
    }
    const [ends, middle] = [fresh(), fresh()]
    const whole = await openModel(source)
    await packModel(whole, middle, { range: { from: 2, to: 4 } })
    const error = await rejection(costsOf(middle))
    expect(error).to.be.instanceOf(BlocksUnavailableError)
    for (const [from, to] of [[0, 1], [9, 10]]) await packModel(whole, ends, { range: { from, to } })
    expect(await rejection(costsOf(ends))).to.be.instanceOf(BlocksUnavailableError)
    expect(await costsOf(source)).to.deep.equal(costs)
    const guessed = await costsOf(ends, middle)
    for (const unit of [0, 2, 3, 9]) expect(guessed.units[unit]).to.deep.equal(costs.units[unit])
    expect(guessed.units[1]).to.deep.equal(costs.units[2])
    expect(guessed.units[7]).to.deep.equal(costs.units[3])
    expect(guessed.tied).to.deep.equal(costs.tied)
  })

  it('brings the embedding along with a tied head', async function () {
    const directory = fresh()
    await fetchUnits({ node: client, addresses: [(await serve(store)).addresses[0]], manifest, range: { from: 9, to: 10 }, directory })
    expectHolds(directory, blobsOf(0, 9))
    expect((await openModel(directory)).unit(9).tensors).to.have.keys('finalNorm', 'projection')
  })

  it('asks each peer for what it has', async function () {
    const halves = [fresh(), fresh()]
    const whole = await openModel(source)
    await packModel(whole, halves[0], { range: { from: 0, to: 2 } })
    await packModel(whole, halves[1], { range: { from: 2, to: 5 } })
    const addresses = await Promise.all(halves.map(async half => (await serve(createBlockStore([half]))).addresses[0]))
    const directory = fresh()
    await fetchQuarter(addresses, directory)
    expectHolds(directory, blobsOf(0, 1, 2))
  })

  it('drops a peer that sends a wrong byte, and has the block from elsewhere', async function () {
    const liar = meddlingStore(store, (bytes, served) => {
      if (served !== 2) return bytes
      const wrong = bytes.slice()
      wrong[wrong.length >> 1] ^= 1
      return wrong
    })
    const peers = [await serve(liar), await serve(store)]
    const directory = fresh()
    const events: FetchEvent[] = []
    const { fetched } = await fetchQuarter(peers.map(({ addresses }) => addresses[0]), directory, events)
    expect(fetched).to.equal(dataBytes(blobsOf(0, 1, 2)))
    expectHolds(directory, blobsOf(0, 1, 2))
    const dropped = events.filter(event => event.type === 'blocks:source-dropped')
    expect(dropped.map(({ address }) => address)).to.deep.equal([peers[0].addresses[0]])
    expect(dropped[0].error.message).to.match(/sent wrong bytes for block \d+ of blob/)
    expect(liar.served()).to.be.below(2 + 4 + 1)
  })

  it('drops a peer that lies about a header, and one that breaks the protocol', async function () {
    const wrongHeader = { ...store, header: (id: string) => store.header(id)?.map((byte, i) => i === 20 ? byte ^ 1 : byte) }
    const wild = createPeerNode({ listen: ['/ip4/127.0.0.1/tcp/0'] })
    nodes.push(wild)
    await wild.start()
    await startedNode(wild).libp2p.handle(BLOCKS_PROTOCOL, stream => {
      stream.addEventListener('message', () => { stream.send(encodeBlockAnswer({ kind: 3, number: 77, status: 0, payload: Uint8Array.of(1) })) }, { once: true })
    })
    const events: FetchEvent[] = []
    const droppedSources = () => events.filter(event => event.type === 'blocks:source-dropped')
    // the honest one is slow: it could have given everything before the others have said a word
    const patient = {
      ...store,
      async block (id: string, index: number) {
        while (droppedSources().length < 2) await pause(5)
        return await store.block(id, index)
      }
    }
    const peers = [await serve(wrongHeader), wild, await serve(patient)]
    const directory = fresh()
    await fetchQuarter(peers.map(({ addresses }) => addresses[0]), directory, events)
    expectHolds(directory, blobsOf(0, 1, 2))
    const dropped = droppedSources()
    expect(dropped.map(({ address }) => address).sort()).to.deep.equal([peers[0].addresses[0], wild.addresses[0]].sort())
  })

  it('refuses a package that nobody could host before its data is fetched', async function () {
    // layer 0 of this manifest is the embedding's blob
    const wrong: Manifest = { ...manifest, units: manifest.units.with(1, manifest.units[0]) }
    const counting = meddlingStore(store, bytes => bytes)
    const directory = fresh()
    const error = await rejection(fetchUnits({ node: client, addresses: [(await serve(counting)).addresses[0]], manifest: wrong, range: quarter, directory }))
    expect(error).to.have.property('code', 'ERR_MODEL_FILE')
    expect(counting.served()).to.equal(0)
    expect(existsSync(directory)).to.equal(false)
  })

  it('keeps what has come when it is stopped, and goes on from there', async function () {
    const controller = new AbortController()
    const holding = meddlingStore(store, (bytes, served) => {
      if (served === 10) controller.abort(new Error('enough'))
      return bytes
    })
    const address = (await serve(holding)).addresses[0]
    const directory = fresh()
    expect(await rejection(fetchQuarter([address], directory, [], controller.signal))).to.have.property('message', 'enough')
    expect(existsSync(join(directory, 'manifest.json'))).to.equal(false)
    const { fetched, found } = await fetchQuarter([address], directory)
    expect(found).to.be.above(0)
    expect(fetched + found).to.equal(dataBytes(blobsOf(0, 1, 2)))
    expectHolds(directory, blobsOf(0, 1, 2))
  })

  it('holds a slow reader to the rate, refuses too many requests at once, and cuts off nonsense', async function () {
    const server = await serve(store, { limits: { sharedBytesPerSecondAndPeer: 300_000 } })
    const connection = await startedNode(client).libp2p.dial(multiaddr(server.addresses[0]))
    const stream = await connection.newStream(BLOCKS_PROTOCOL)
    let bytes = 0
    let enough = (): void => {}
    stream.addEventListener('message', event => {
      bytes += event.data.byteLength
      enough()
    })
    const refusals = new Promise<void>(resolve => { enough = () => { if (bytes >= 4 * 16) resolve() } })
    // 16 may wait, and one may be at work or not yet
    for (let number = 1; number <= 21; number++) stream.send(encodeBlockRequest({ kind: 3, number, hash: manifest.units[0], index: 0 }))
    await refusals
    // what has come by now are refusals and at most the two blocks that the bucket allows
    expect(bytes).to.be.below(3 * (256 << 10))
    const closed = new Promise<void>(resolve => stream.addEventListener('close', () => resolve()))
    stream.send(new Uint8Array(48).fill(255))
    await closed
  })

  describe('a peer that joins with nothing: two sources, one corrupts 1 % of its blocks, one is killed half-way', function () {
    async function story (from: string, range: { from: number, to: number }, corruptAt: (served: number) => boolean): Promise<void> {
      const { manifest, unit: unitOf } = readPackage(from)
      const store = createBlockStore([from])
      const ids = [...new Set([...manifest.units.slice(range.from, range.to), manifest.tokenizer])].sort()
      const total = ids.reduce((sum, id) => sum + decodeBlobHeader(store.header(id)!, id).dataLength, 0)
      const blocks = Math.ceil(total / (256 << 10))
      const directory = fresh()
      let sent = 0
      const fetchOnce = async (addresses: string[], events: FetchEvent[]): Promise<FetchedUnits> =>
        await fetchUnits({ node: client, addresses, manifest, range, directory, onEvent: event => events.push(event) })

      let lies = 0
      const liar = await serve(meddlingStore(store, (bytes, served) => {
        if (!corruptAt(served)) return bytes
        lies++
        const wrong = bytes.slice()
        wrong[served % wrong.length] ^= 0x10
        return wrong
      }))
      const mortal = await serve(meddlingStore(store, async (bytes, served) => {
        sent = served
        if (served < blocks / 2) return bytes
        // in the middle of a block, from the other side's view
        for (const open of startedNode(mortal).libp2p.getConnections()) open.abort(new Error('killed'))
        await mortal.stop()
        return undefined
      }))
      const first: FetchEvent[] = []
      const addresses = [liar.addresses[0], mortal.addresses[0]]
      const error = await rejection(fetchOnce(addresses, first))
      // both are gone now: the one for its lie, the other for good
      expect(error).to.be.instanceOf(BlocksUnavailableError)
      expect(lies).to.be.at.least(1)
      expect(first.some(event => event.type === 'blocks:source-dropped' && event.address === addresses[0])).to.equal(true)
      expect(first.some(event => event.type === 'blocks:source-lost' && event.address === addresses[1])).to.equal(true)
      expect(sent).to.be.at.least(Math.floor(blocks / 2))
      const arrived = (first.filter(event => event.type === 'blocks:progress').at(-1) as { fetched: number }).fetched
      expect(arrived).to.be.above(total / 3)

      const again = await serve(store)
      const second: FetchEvent[] = []
      const { fetched, found } = await fetchOnce([again.addresses[0]], second)
      expect(found).to.equal(arrived)
      expect(fetched).to.equal(total - arrived)
      expectHolds(directory, ids, from)
      expect((await verifyPackage(directory)).sound).to.equal(true)
      const model = await openModel(directory)
      for (let unit = range.from; unit < range.to; unit++) {
        for (const [role, tensor] of Object.entries(model.unit(unit).tensors)) {
          expect(Buffer.compare(readTensorBytes(tensor), readTensorBytes(unitOf(unit).tensors[role as 'query']!)), `unit ${unit}, ${role}`).to.equal(0)
        }
      }
    }

    it('of a synthetic package', async function () {
      await story(source, quarter, served => served === 12)
    })

    it('of SmolLM2', async function () {
      const path = sharedPath('models', 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf')
      if (path === undefined) return this.skip()
      const packed = folder.path('smollm2')
      await packModel(await openModel(path, { cacheDirectory: folder.path('cache') }), packed)
      // layers 8:16, a quarter of the bytes that are not the embedding's; every hundredth block is wrong
      await story(packed, { from: 9, to: 17 }, served => served % 100 === 30)
    })
  })
})
