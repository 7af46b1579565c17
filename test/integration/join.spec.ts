import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { openModel, packModel } from '../../src/model/index.ts'
import type { Model } from '../../src/model/index.ts'
import { sotuPath } from '../support/golden-models.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { killAll, promptJson, run, start, startSwarm, stop } from './cli-process.ts'
import type { PeerJson, PromptJson } from '../../src/cli/json.ts'
import type { Running } from './cli-process.ts'

const prompt = 'Fellow-Citizens of the Senate and House of Representatives:'

describe('joining with nothing, as processes', function () {
  this.timeout(120_000)
  const folder = temporaryFolder()
  let model: Model
  let packed: string
  let greedy: PromptJson
  let count = 0
  afterEach(killAll)

  before(async () => {
    packed = folder.path('packed')
    model = await openModel(sotuPath, { cacheDirectory: folder.path('cache') })
    await packModel(model, packed)
    greedy = await promptJson('prompt', prompt, '--local', 'all', '--max-tokens', '32', '--logprobs', '3')
  })

  /** A peer whose cache is empty, with what it has fetched in the end. */
  async function joinWithNothing (...args: string[]): Promise<Running & { ready: PeerJson, address: string, directory: string }> {
    const cache = folder.path(`joining-${count++}`)
    const peer = start(['peer', ...args, '--ephemeral', '--listen', '/ip4/127.0.0.1/tcp/0', '--json'], { env: { XDG_CACHE_HOME: cache } })
    const ready = JSON.parse(await peer.until('stdout', /^.*\n/)) as PeerJson
    return { ...peer, ready, address: ready.addresses[0], directory: join(cache, 'efedllm', 'packages', model.modelId) }
  }

  it('fails with words where the peers have nothing of it', async () => {
    const swarm = await startSwarm('--peers', '2')
    const id = 'ab'.repeat(32)
    const { code, stderr } = await run(['peer', `${id}@${swarm.ready.join}`, '--ephemeral'], { env: { XDG_CACHE_HOME: folder.path('nothing') } })
    expect(code).to.equal(1)
    expect(stderr).to.match(/^efedllm: no peer gives the manifest of model abababababab: .*does not have it/m)
    expect(existsSync(folder.path(join('nothing', 'efedllm', 'packages')))).to.equal(false)
    await stop(swarm)
  })

  it('fetches its own layers, hosts them, and gives them on', async () => {
    const swarm = await startSwarm('--peers', '2')
    const joined = await joinWithNothing(`${model.modelId}@${swarm.ready.join}`, '--layers', '2:6')
    expect(joined.ready).to.deep.include({ units: 'layers 2:6', range: { from: 3, to: 7 } })
    expect(readdirSync(join(joined.directory, 'blobs')).sort()).to.deep.equal([...model.manifest.units.slice(3, 7), model.manifest.tokenizer].sort())
    await stop(swarm)
    // the first that had the layers are gone
    const second = await joinWithNothing('--from', joined.address, '--layers', '3:5')
    const answers = await Promise.all([
      promptJson('prompt', prompt, '--join', joined.address, '--local', '0:3,7:10', '--max-tokens', '32', '--logprobs', '3'),
      promptJson('prompt', prompt, '--join', second.address, '--local', '0:4,6:10', '--max-tokens', '32', '--logprobs', '3')
    ])
    for (const answer of answers) {
      expect(answer.tokenIds).to.deep.equal(greedy.tokenIds)
      expect(answer.logProbabilities).to.deep.equal(greedy.logProbabilities)
    }
    expect((await stop(second))?.code).to.equal(130)
  })

  it('shares nothing where that is not wanted', async () => {
    const cache = folder.path('unshared')
    const peer = start(['peer', '--no-share', '--layers', '0:4', '--ephemeral', '--listen', '/ip4/127.0.0.1/tcp/0', '--json'], { env: { XDG_CACHE_HOME: cache } })
    const { addresses } = JSON.parse(await peer.until('stdout', /^.*\n/)) as PeerJson
    expect(existsSync(join(cache, 'efedllm', 'packages'))).to.equal(false)
    const { code, stderr } = await run(['peer', '--from', addresses[0], '--ephemeral'], { env: { XDG_CACHE_HOME: folder.path('empty') } })
    expect(code).to.equal(1)
    expect(stderr).to.match(/does not speak \/efedllm\/blocks\/1\.0\.0/)
  })

  it('four peers on a package give the tokens of one', async () => {
    const swarm = await startSwarm('--peers', '4', '--model', packed)
    expect(swarm.ready.model.modelId).to.equal(greedy.model.modelId)
    // the client has the file, the peers the package: they are one model
    for (const path of [packed, sotuPath]) {
      const answer = await promptJson('prompt', prompt, '--model', path, '--join', swarm.ready.join, '--max-tokens', '32', '--logprobs', '3')
      expect(answer.tokenIds).to.deep.equal(greedy.tokenIds)
      expect(answer.logProbabilities).to.deep.equal(greedy.logProbabilities)
      expect(answer.stopReason).to.equal(greedy.stopReason)
    }
    await stop(swarm)
  })

  it('nothing is hosted of a package with a wrong byte', async () => {
    const broken = folder.path('broken')
    cpSync(packed, broken, { recursive: true })
    const path = join(broken, 'blobs', model.manifest.units[4])
    const bytes = readFileSync(path)
    bytes[bytes.length - 100] ^= 1
    writeFileSync(path, bytes)
    const { code, stdout, stderr } = await run(['peer', '--model', broken, '--layers', '0:8', '--ephemeral', '--json'])
    expect(code).to.equal(1)
    expect(stderr).to.include(path).and.match(/block \d+: does not have its hash/)
    expect(JSON.parse(stdout)).to.have.nested.property('error.code', 'ERR_MODEL_FILE')
  })
})
