import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { createBlockStore, decodeBlobHeader, openModel, packModel } from '../../src/model/index.ts'
import type { Model, UnitRange } from '../../src/model/index.ts'
import { CACHE_SUFFIX } from '../../src/model/manifest/unit-hash-cache.ts'
import { sotuPath } from '../support/golden-models.ts'
import { sharedPath } from '../support/shared-data.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { killAll, promptJson, run, runJson, start } from './cli-process.ts'
import type { BlockPeerMessage } from '../support/block-peer-process.ts'
import type { PeerJson, VerifyJson } from '../../src/cli/json.ts'

const script = fileURLToPath(new URL('../support/block-peer-process.ts', import.meta.url))
const BLOCK_BYTES = 256 << 10

/**
 * A peer with nothing fetches a quarter of a model, as a process, from two
 * processes: one sends wrong blocks, one is killed with half of them given.
 */
describe('joining with nothing, while one peer lies and one is killed, as processes', function () {
  this.timeout(300_000)
  const folder = temporaryFolder()
  const givers: ChildProcess[] = []

  afterEach(async () => {
    for (const child of givers.splice(0)) child.kill('SIGKILL')
    await killAll()
  })

  interface Giver {
    child: ChildProcess
    address: string
    served: () => number
    stalled: Promise<unknown>
  }

  async function giver (packed: string, conduct: string): Promise<Giver> {
    const child = fork(script, [packed, conduct])
    givers.push(child)
    const stalled = Promise.withResolvers<void>()
    let served = 0
    const address = await new Promise<string>((resolve, reject) => {
      child.on('message', (message: BlockPeerMessage) => {
        if ('address' in message) resolve(message.address)
        else if ('served' in message) served = message.served
        else stalled.resolve()
      })
      child.once('exit', code => reject(new Error(`a peer exited with ${code}`)))
    })
    return { child, address, served: () => served, stalled: stalled.promise }
  }

  /** Blocks that are here but not yet a file with its final name. */
  function partialFiles (directory: string): string[] {
    const incoming = join(directory, 'incoming')
    return existsSync(incoming) ? readdirSync(incoming) : []
  }

  interface Story {
    model: Model
    packed: string
    /** as `--layers` has it, and as units */
    layers: string
    range: UnitRange
    /** conduct of the liar */
    lie: string
  }

  async function joins ({ model, packed, layers, range, lie }: Story): Promise<{ directory: string, address: string }> {
    const store = createBlockStore([packed])
    const ids = [...model.manifest.units.slice(range.from, range.to), model.manifest.tokenizer]
    const blocks = ids.reduce((sum, id) => sum + Math.ceil(decodeBlobHeader(store.header(id)!, id).dataLength / BLOCK_BYTES), 0)
    const cache = folder.path(`cache-${model.name}`)
    const directory = join(cache, 'efedllm', 'packages', model.modelId)
    const joining = (addresses: string[]): string[] =>
      ['peer', `${model.modelId}@${addresses.join(',')}`, '--layers', layers, '--ephemeral', '--listen', '/ip4/127.0.0.1/tcp/0']

    const liar = await giver(packed, lie)
    const mortal = await giver(packed, `stall:${Math.ceil(blocks / 2)}`)
    const first = run(joining([liar.address, mortal.address]), { env: { XDG_CACHE_HOME: cache } })
    await mortal.stalled
    mortal.child.kill('SIGKILL')
    const { code, stderr } = await first
    expect(code, stderr).to.equal(1)
    expect(stderr).to.include(`${liar.address}: `).and.match(/sent wrong bytes for block \d+ of blob [0-9a-f]{12}; not asked again/)
    expect(stderr).to.include(`${mortal.address}: `).and.match(/; tried again/)
    expect(existsSync(join(directory, 'manifest.json'))).to.equal(false)
    expect(partialFiles(directory)).to.have.length.above(0)

    // again, from a peer that is neither
    const honest = await giver(packed, 'honest')
    const joined = start([...joining([honest.address]), '--json'], { env: { XDG_CACHE_HOME: cache } })
    const ready = JSON.parse(await joined.until('stdout', /^.*\n/)) as PeerJson
    expect(ready).to.deep.include({ range })
    // what had come before was not asked for again: at least the half that the killed one gave
    expect(honest.served()).to.be.within(1, blocks - Math.floor(blocks / 2))
    expect(readdirSync(join(directory, 'blobs')).sort()).to.deep.equal([...ids].sort())
    for (const id of ids) expect(readFileSync(join(directory, 'blobs', id)).equals(readFileSync(join(packed, 'blobs', id))), id).to.equal(true)
    // besides what was asked for there is what opening it wrote: that the hashes are right
    const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile() && !entry.name.endsWith(CACHE_SUFFIX)).map(({ name }) => name)
    expect(files.sort()).to.deep.equal([...ids, 'manifest.json'].sort())
    const verified = await runJson<VerifyJson>(['verify', directory])
    expect(verified).to.include({ sound: true, modelId: model.modelId })
    expect(verified.missing).to.have.length(model.manifest.units.length - (range.to - range.from))
    return { directory, address: ready.addresses[0] }
  }

  it('of sotu-4m, and what it then hosts gives the tokens of the whole model', async function () {
    const model = await openModel(sotuPath, { cacheDirectory: folder.path('cache') })
    const packed = folder.path('sotu')
    await packModel(model, packed)
    // of nine blocks there is no hundredth: the second is wrong
    const { address } = await joins({ model, packed, layers: '2:4', range: { from: 3, to: 5 }, lie: 'lie:100:2' })
    const prompt = ['prompt', 'Fellow-Citizens of the Senate', '--max-tokens', '16', '--logprobs', '3']
    const [whole, joined] = await Promise.all([
      promptJson(...prompt, '--local', 'all'),
      promptJson(...prompt, '--join', address, '--local', '0:3,5:10')
    ])
    expect(joined.tokenIds).to.deep.equal(whole.tokenIds)
    expect(joined.logProbabilities).to.deep.equal(whole.logProbabilities)
  })

  it('of SmolLM2, with every hundredth block wrong', async function () {
    const path = sharedPath('models', 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf')
    if (path === undefined) return this.skip() // the model is not in the repository: see test/support/shared-data.ts
    const model = await openModel(path, { cacheDirectory: folder.path('cache') })
    const packed = folder.path('smollm2')
    await packModel(model, packed)
    // layers 8:16: a quarter of the bytes that are not the embedding's
    await joins({ model, packed, layers: '8:16', range: { from: 9, to: 17 }, lie: 'lie:100:30' })
  })
})
