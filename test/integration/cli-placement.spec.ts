import { expect } from 'chai'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DEFAULT_CONTEXTS } from '../../src/engine/index.ts'
import { openModel } from '../../src/model/index.ts'
import { capacityOf, keyValuePositions, modelCosts } from '../../src/partition/index.ts'
import { sotuPath } from '../support/golden-models.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { killAll, promptJson, run, start } from './cli-process.ts'
import type { PeerJson, PromptJson, StatusJson } from '../../src/cli/json.ts'
import type { Running } from './cli-process.ts'

const prompt = 'Fellow-Citizens of the Senate and House of Representatives:'

/** A tenth of the times of a real swarm. */
const pace = '0.1'

/** Peers that are told nothing but how much memory they have. */
describe('peers that find their layers themselves, as processes', function () {
  this.timeout(180_000)
  const folder = temporaryFolder()
  /** of one engine */
  let whole: PromptJson
  let memory: string
  afterEach(killAll)

  before(async () => {
    whole = await promptJson('prompt', prompt, '--local', 'all', '--max-tokens', '24')
    memory = String(await memoryOfHalf())
  })

  type Peer = Running & { ready: PeerJson, address: string }

  async function startAuto (number: number, ...args: string[]): Promise<Peer> {
    const peer = start(
      ['peer', ...args, '--ephemeral', '--threads', '1', '--no-mdns', '--no-dht', '--listen', '/ip4/127.0.0.1/tcp/0', '--placement-pace', pace],
      { env: { XDG_CACHE_HOME: folder.path(`cache ${number}`) } }
    )
    const text = await peer.until('stderr', /peer \S+ hosts .*\n(?: {2}--join .*\n)+/)
    const [, peerId, units] = /peer (\S+) hosts (.*)\n/.exec(text)!
    const address = /--join (\S+)/.exec(text)![1]
    return { ...peer, address, ready: { peerId, units } as PeerJson }
  }

  async function status (join: string): Promise<StatusJson> {
    const { stdout } = await run(['status', '--join', join, '--json'])
    return JSON.parse(stdout) as StatusJson
  }

  /** Least memory with which two peers can have all units between them. */
  async function memoryOfHalf (): Promise<number> {
    const model = await openModel(sotuPath, { cacheDirectory: folder.path('cache') })
    const costs = modelCosts(model)
    const positions = keyValuePositions(costs, model.architecture.contextLength, DEFAULT_CONTEXTS)
    for (let memoryBytes = 200e6; ; memoryBytes += 100e3) {
      const { ranges } = capacityOf(costs, { memoryBytes, positions })
      if (ranges[ranges[0].to]?.to === costs.units.length) return memoryBytes
    }
  }

  it('say what is wrong, and end at once where they are told to in the middle of it', async () => {
    const none = await run(['peer', '--ephemeral', '--join', '/ip4/127.0.0.1/tcp/9'])
    expect(none.code).to.equal(1)
    expect(none.stderr).to.match(/^efedllm: peer \/ip4\/127\.0\.0\.1\/tcp\/9 cannot be reached/m)
    const waiting = start(['peer', '--memory', memory, '--ephemeral', '--no-dht', '--listen', '/ip4/127.0.0.1/tcp/0'])
    await waiting.until('stderr', /is going to host/)
    waiting.child.kill('SIGINT')
    const { code, stderr } = await waiting.ended
    expect(code).to.equal(130)
    expect(stderr).to.not.match(/^\s+at |hosts .* from now on/m)
  })

  it('fetch what they lack, and nothing else, where they have nothing', async () => {
    const first = await startAuto(4)
    expect(first.ready.units).to.equal('embed, layers 0:8, head')
    const { modelId, manifest } = await openModel(sotuPath, { cacheDirectory: folder.path('cache') })
    const second = await startAuto(5, `${modelId}@${first.address}`, '--memory', memory)
    const [range] = (await status(second.address)).peers.find(({ peerId }) => peerId === second.ready.peerId)!.ranges
    expect(range.to - range.from).to.be.below(10)
    const blobs = readdirSync(join(folder.path('cache 5'), 'efedllm', 'packages', modelId, 'blobs')).sort()
    const own = manifest.units.slice(range.from, range.to)
    // a head that is tied to the embedding is nothing without it
    const shared = range.to === 10 && range.from > 0 ? [manifest.units[0]] : []
    expect(blobs).to.deep.equal([...new Set([...own, ...shared, manifest.tokenizer])].sort())
    const local = [[0, range.from], [range.to, 10]].filter(([from, to]) => from < to).map(([from, to]) => `${from}:${to}`).join()
    const text = await promptJson('prompt', prompt, '--join', second.address, '--local', local, '--max-tokens', '8')
    expect(text.tokenIds).to.deep.equal(whole.tokenIds.slice(0, 8))
  })

  it('cover the model, and cover it again when one is killed; the text is the same', async () => {
    const first = await startAuto(1, '--memory', memory)
    const peers = [first, await startAuto(2, '--memory', memory, '--join', first.address), await startAuto(3, '--memory', memory, '--join', first.address)]
    const isCovered = ({ holders }: StatusJson): boolean => holders?.every(count => count > 0) === true
    let json = await status(first.address)
    while (!isCovered(json) || json.peers.length < 3) json = await status(first.address)
    const before = await promptJson('prompt', prompt, '--join', peers.map(({ address }) => address).join(), '--max-tokens', '24')
    expect(before.tokenIds).to.deep.equal(whole.tokenIds)

    // somebody without whom there is a gap, and somebody who can be spared
    const holders = json.holders!
    const units = ({ ready: { peerId } }: Peer): number[] => json.peers.find(peer => peer.peerId === peerId)!.ranges.flatMap(({ from, to }) => Array.from({ length: to - from }, (_value, index) => from + index))
    const victim = peers.find(peer => units(peer).some(unit => holders[unit] === 1))!
    expect(peers.some(peer => units(peer).every(unit => holders[unit] > 1))).to.equal(true)
    victim.child.kill('SIGKILL')
    await victim.ended
    const left = peers.filter(peer => peer !== victim)
    do {
      json = await status(left[0].address)
    } while (!isCovered(json))
    const after = await promptJson('prompt', prompt, '--join', left.map(({ address }) => address).join(), '--max-tokens', '24')
    expect(after.tokenIds).to.deep.equal(whole.tokenIds)
    const lines = (await Promise.all(left.map(async peer => {
      peer.child.kill('SIGTERM')
      const { code, stderr } = await peer.ended
      expect(code).to.equal(0)
      return stderr
    }))).join('')
    for (const words of [/is going to host .* unless somebody was first/, /fetches .* there is no room beside/, /would leave .* and asks who stays/, /^hosts .* no more/m, /^hosts .* from now on/m]) expect(lines).to.match(words)
  })
})
