import { expect } from 'chai'
import { mkdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { hubCacheDirectory, listModels, pullModel, resolveModel } from '../../../src/model/pull/index.ts'
import type { PullOptions, PullProgress } from '../../../src/model/pull/index.ts'
import { FakeHub, failureOf, filesBelow, gitObject, json, noise, sha256, temporaryFolder } from './pull-support.ts'

const NAME = 'hf:maker/model'
const COMMIT = '1'.repeat(40)
const NEWER = '2'.repeat(40)
const WEIGHTS = noise(300_000)

describe('pull: hub', () => {
  let hub: FakeHub
  let folder: ReturnType<typeof temporaryFolder>
  let options: PullOptions
  let events: PullProgress[]
  let cache: string
  let weightsBlob: string

  beforeEach(async () => {
    hub = new FakeHub()
    await hub.start()
    folder = temporaryFolder()
    cache = join(folder.path, 'hub')
    weightsBlob = join(cache, 'models--maker--model', 'blobs', sha256(WEIGHTS))
    events = []
    options = {
      environment: { HF_ENDPOINT: `${hub.url}/`, HF_HUB_CACHE: cache, HOME: folder.path, EFEDLLM_DATA_DIR: join(folder.path, 'data') },
      retryDelay: 0,
      onProgress: event => events.push(event)
    }
    hub.repositories['maker/model'] = {
      revisions: { main: COMMIT },
      files: {
        'README.md': Buffer.from('# model'),
        'config.json': Buffer.from('{}'),
        'generation_config.json': Buffer.from('{"a":1}'),
        'model.safetensors': WEIGHTS,
        'onnx/model.onnx': noise(10),
        'pytorch_model.bin': noise(10),
        'tokenizer.json': Buffer.from('{"b":2}'),
        'tokenizer_config.json': Buffer.from('{"c":3}')
      }
    }
  })

  afterEach(async () => {
    await hub.stop()
    folder.remove()
  })

  const snapshot = (commit = COMMIT): string => join(cache, 'models--maker--model', 'snapshots', commit)

  describe('refusals', () => {
    it('says that there is no such repository, revision or file', async () => {
      const repository = await failureOf(pullModel('hf:maker/other', options))
      expect(repository).to.include({ code: 'ERR_HUB_NOT_FOUND', retryable: false, message: 'maker/other: not found on the hub' })
      const revision = await failureOf(pullModel(`${NAME}@v9`, options))
      expect(revision).to.include({ code: 'ERR_HUB_NOT_FOUND', message: 'maker/model@v9: no such revision on the hub' })
      const file = await failureOf(pullModel(`${NAME}:absent.gguf`, options))
      expect(file).to.include({ code: 'ERR_UNUSABLE_REPOSITORY' })
    })

    it('says where a content is missing that was listed', async () => {
      hub.intercept = (request, response) => {
        if (!request.url!.includes('/resolve/')) return false
        response.writeHead(404).end()
        return true
      }
      expect(await failureOf(pullModel(NAME, options))).to.include({ code: 'ERR_HUB_NOT_FOUND', message: 'maker/model/config.json: not found on the hub' })
    })

    it('says what to do about refused access, with and without a token', async () => {
      hub.intercept = (request, response) => {
        json(response, { error: 'gated' }, 401)
        return true
      }
      const without = await failureOf(pullModel(NAME, options))
      expect(without).to.include({ code: 'ERR_HUB_ACCESS', retryable: false })
      expect(without.message).to.match(/set HF_TOKEN$/)
      const withToken = await failureOf(pullModel(NAME, { ...options, token: 'secret' }))
      expect(withToken.message).to.match(/accept the model's terms/).and.not.include('secret')
    })

    it('sends the token to the hub and to no other host', async () => {
      options.environment!.HF_TOKEN = 'secret'
      await pullModel(NAME, options)
      expect(hub.tokens).to.deep.equal({ hub: 'Bearer secret', content: undefined })
      expect(hub.requests.some(line => line.includes('/cdn/'))).to.equal(true)
    })

    it('takes the token from the hub\'s token file', async () => {
      mkdirSync(join(folder.path, '.cache', 'huggingface'), { recursive: true })
      writeFileSync(join(folder.path, '.cache', 'huggingface', 'token'), 'from-file\n')
      await pullModel(NAME, options)
      expect(hub.tokens.hub).to.equal('Bearer from-file')
    })

    it('refuses answers that are not the hub\'s', async () => {
      const answers: Array<(path: string) => unknown> = [
        () => 'text',
        path => path.includes('/revision/') ? { sha: '../../x' } : undefined,
        path => path.includes('/tree/') ? [{ type: 'file', path: '../x', size: 1, oid: '0'.repeat(40) }] : undefined,
        path => path.includes('/tree/') ? { not: 'a list' } : undefined
      ]
      for (const [index, answer] of answers.entries()) {
        hub.intercept = (request, response) => {
          const value = answer(request.url!)
          if (value === undefined) return false
          if (value === 'text') response.end('<html>')
          else json(response, value)
          return true
        }
        expect(await failureOf(pullModel(NAME, options)), String(index)).to.include({ code: 'ERR_HUB_RESPONSE' })
      }
    })

    it('does not follow a listing to another host', async () => {
      hub.intercept = (request, response) => {
        if (!request.url!.includes('/tree/')) return false
        response.setHeader('link', '<http://127.0.0.2:9/api/models/x/tree/main>; rel="next"')
        json(response, [])
        return true
      }
      const failure = await failureOf(pullModel(NAME, options))
      expect(failure).to.include({ code: 'ERR_HUB_RESPONSE' })
      expect(failure.message).to.include('another host')
    })

    it('says that the disk is too small before anything is fetched', async () => {
      hub.intercept = (request, response) => {
        if (!request.url!.includes('/tree/')) return false
        const entry = (path: string): object => ({ type: 'file', path, size: 1, oid: '0'.repeat(40) })
        json(response, [entry('config.json'), entry('tokenizer.json'), { ...entry('model.safetensors'), lfs: { oid: '0'.repeat(64), size: 2 ** 52 } }])
        return true
      }
      expect(await failureOf(pullModel(NAME, options))).to.include({ code: 'ERR_DISK_SPACE' })
      expect(hub.contentRequests).to.deep.equal([])
    })

    it('takes an answer of 502 and a closed port for a hub that cannot be reached', async () => {
      hub.intercept = (request, response) => {
        response.writeHead(502).end()
        return true
      }
      expect(await failureOf(pullModel(NAME, options))).to.include({ code: 'ERR_HUB_UNREACHABLE', retryable: true })
      await hub.stop()
      const failure = await failureOf(pullModel(NAME, options))
      expect(failure).to.include({ code: 'ERR_HUB_UNREACHABLE' })
      expect(failure.message).to.match(/127\.0\.0\.1.*ECONNREFUSED/)
    })
  })

  describe('broken downloads', () => {
    it('throws away wrong bytes, those of large files and those of small ones', async () => {
      for (const path of ['model.safetensors', 'tokenizer.json']) {
        rmSync(cache, { recursive: true, force: true })
        const right = hub.repositories['maker/model'].files[path]
        hub.corrupted[path] = Buffer.from(right)
        hub.corrupted[path][3] ^= 1
        expect(await failureOf(pullModel(NAME, options))).to.include({ code: 'ERR_CHECKSUM', retryable: true })
        const left = filesBelow(cache)
        expect(left.filter(name => name.endsWith('.incomplete') || name.includes('snapshots'))).to.deep.equal([])
        expect(left).to.not.include(`models--maker--model/blobs/${path === 'model.safetensors' ? sha256(right) : gitObject(right)}`)
        delete hub.corrupted[path]
      }
      expect(readFileSync(join(await pullModel(NAME, options), 'model.safetensors'))).to.deep.equal(WEIGHTS)
    })

    it('stops a server that sends more than it announced', async () => {
      hub.corrupted['model.safetensors'] = Buffer.concat([WEIGHTS, noise(1000)])
      expect(await failureOf(pullModel(NAME, options))).to.include({ code: 'ERR_HUB_RESPONSE' })
      expect(filesBelow(cache)).to.not.include(`models--maker--model/blobs/${sha256(WEIGHTS)}`)
    })

    it('goes on after each cut from the byte it has', async () => {
      hub.cutAfter = 120_000
      const path = await pullModel(NAME, options)
      expect(readFileSync(join(path, 'model.safetensors'))).to.deep.equal(WEIGHTS)
      const asked = hub.contentRequests.filter(line => line.startsWith('model.safetensors'))
      expect(asked).to.have.length.greaterThan(2)
      expect(asked.slice(1)).to.satisfy((lines: string[]) => lines.every(line => / bytes=[1-9]\d*-$/.test(line)))
    })

    it('gives up where nothing more comes, and a later pull goes on from there', async () => {
      hub.cutAfter = 120_000
      options.onProgress = event => {
        if (event.file === 'model.safetensors' && event.received > 1000) hub.cutAfter = 0
      }
      const failure = await failureOf(pullModel(NAME, options))
      expect(failure).to.include({ code: 'ERR_DOWNLOAD_INTERRUPTED', retryable: true })
      const received = (failure as unknown as { received: number }).received
      expect(received).to.be.within(1, WEIGHTS.length - 1)
      expect(filesBelow(cache)).to.include(`models--maker--model/blobs/${sha256(WEIGHTS)}.incomplete`)
        .and.not.include(`models--maker--model/blobs/${sha256(WEIGHTS)}`)
      expect(filesBelow(cache).filter(name => name.includes('snapshots'))).to.deep.equal([])

      hub.cutAfter = Infinity
      hub.requests.length = 0
      const path = await pullModel(NAME, { ...options, onProgress: undefined })
      expect(readFileSync(join(path, 'model.safetensors'))).to.deep.equal(WEIGHTS)
      expect(hub.contentRequests).to.deep.equal([`model.safetensors bytes=${received}-`])
    })

    it('starts again where what an earlier pull left is wrong or too long', async () => {
      for (const left of [noise(1000, 5), Buffer.concat([WEIGHTS.subarray(0, -1), Buffer.from([WEIGHTS.at(-1)! ^ 1])]), noise(WEIGHTS.length + 1)]) {
        rmSync(cache, { recursive: true, force: true })
        mkdirSync(dirname(weightsBlob), { recursive: true })
        writeFileSync(`${weightsBlob}.incomplete`, left)
        expect(readFileSync(join(await pullModel(NAME, options), 'model.safetensors'))).to.deep.equal(WEIGHTS)
      }
    })

    it('takes the whole file where the server knows no ranges', async () => {
      mkdirSync(dirname(weightsBlob), { recursive: true })
      writeFileSync(`${weightsBlob}.incomplete`, WEIGHTS.subarray(0, 1000))
      hub.ignoresRanges = true
      expect(readFileSync(join(await pullModel(NAME, options), 'model.safetensors'))).to.deep.equal(WEIGHTS)
    })
  })

  describe('cancelling', () => {
    it('stops at once and leaves nothing that looks complete', async () => {
      const controller = new AbortController()
      const pull = pullModel(NAME, {
        ...options,
        signal: controller.signal,
        onProgress: event => {
          if (event.file === 'model.safetensors' && event.received > 1000) controller.abort(new Error('enough'))
        }
      })
      hub.cutAfter = 100_000
      const failure = await failureOf(pull)
      expect(failure).to.include({ code: 'ERR_PULL_CANCELLED' })
      expect(failure.cause).to.have.property('message', 'enough')
      expect(filesBelow(cache).filter(name => name.includes('snapshots') || name.endsWith(sha256(WEIGHTS)))).to.deep.equal([])
      hub.cutAfter = Infinity
      expect(readFileSync(join(await pullModel(NAME, options), 'model.safetensors'))).to.deep.equal(WEIGHTS)
    })

    it('does not wait for a hub that does not answer', async () => {
      const controller = new AbortController()
      hub.intercept = () => {
        controller.abort()
        return true
      }
      expect(await failureOf(pullModel(NAME, { ...options, signal: controller.signal }))).to.include({ code: 'ERR_PULL_CANCELLED' })
    })

    it('asks nobody where it is cancelled before', async () => {
      expect(await failureOf(pullModel(NAME, { ...options, signal: AbortSignal.abort() }))).to.include({ code: 'ERR_PULL_CANCELLED' })
      expect(hub.requests).to.deep.equal([])
    })
  })

  describe('success', () => {
    it('fetches the files of a model into the layout of the hub\'s cache', async () => {
      const path = await pullModel(NAME, options)
      expect(path).to.equal(snapshot())
      const wanted = ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']
      expect(filesBelow(path)).to.deep.equal(wanted)
      const { files } = hub.repositories['maker/model']
      for (const name of wanted) expect(readFileSync(join(path, name)), name).to.deep.equal(files[name])
      expect(readFileSync(join(cache, 'models--maker--model', 'refs', 'main'), 'utf8')).to.equal(COMMIT)
      if (process.platform !== 'win32') expect(readlinkSync(join(path, 'model.safetensors'))).to.equal(`../../blobs/${sha256(WEIGHTS)}`)
      expect(hub.contentRequests.sort()).to.deep.equal(wanted)
    })

    it('reports progress that grows to the total', async () => {
      await pullModel(NAME, options)
      expect(events[0]).to.deep.equal({ phase: 'connecting', source: 'hub', received: 0, total: 0 })
      expect(events.at(-1)).to.include({ phase: 'done', source: 'disk' })
      const counts = events.filter(event => event.phase === 'downloading')
      expect(counts.map(event => event.received)).to.deep.equal(counts.map(event => event.received).toSorted((a, b) => a - b))
      expect(counts.at(-1)!.received).to.equal(counts.at(-1)!.total)
      expect(counts.length).to.be.greaterThan(5)
    })

    it('fetches nothing twice, and only what a newer commit changed', async () => {
      await pullModel(NAME, options)
      hub.requests.length = 0
      await pullModel(NAME, options)
      expect(hub.contentRequests).to.deep.equal([])

      const { files, revisions } = hub.repositories['maker/model']
      revisions.main = NEWER
      files['config.json'] = Buffer.from('{"newer":true}')
      expect(await resolveModel(NAME, options), 'what is here is taken without asking').to.equal(snapshot())
      expect(await pullModel(NAME, options)).to.equal(snapshot(NEWER))
      expect(hub.contentRequests).to.deep.equal(['config.json'])
      expect(readFileSync(join(snapshot(NEWER), 'config.json'), 'utf8')).to.equal('{"newer":true}')
    })

    it('keeps to a revision', async () => {
      hub.repositories['maker/model'].revisions = { main: NEWER, 'refs/pr/3': COMMIT }
      expect(await pullModel(`${NAME}@refs/pr/3`, options)).to.equal(snapshot())
      expect(await pullModel(NAME, { ...options, revision: 'refs/pr/3' })).to.equal(snapshot())
      hub.requests.length = 0
      expect(await pullModel(`${NAME}@${COMMIT}`, options)).to.equal(snapshot())
      expect(hub.requests, 'a commit that is here needs no question').to.deep.equal([])
    })

    it('fetches all shards that the index names, and refuses an index that names others', async () => {
      const { files } = hub.repositories['maker/model']
      delete files['model.safetensors']
      files['one.safetensors'] = noise(1000, 2)
      files['unused.safetensors'] = noise(1000, 3)
      files['model.safetensors.index.json'] = Buffer.from(JSON.stringify({ weight_map: { a: 'one.safetensors', b: 'two.safetensors' } }))
      expect(await failureOf(pullModel(NAME, options))).to.include({ code: 'ERR_UNUSABLE_REPOSITORY' })
      expect(await failureOf(resolveModel(NAME, { ...options, download: false }))).to.include({ code: 'ERR_MODEL_NOT_PRESENT' })
      files['two.safetensors'] = noise(2000, 4)
      const path = await pullModel(NAME, options)
      expect(filesBelow(path)).to.include.members(['model.safetensors.index.json', 'one.safetensors', 'two.safetensors']).and.not.include('unused.safetensors')
      rmSync(join(path, 'two.safetensors'))
      expect(await failureOf(resolveModel(NAME, { ...options, download: false })), 'a shard is missing').to.include({ code: 'ERR_MODEL_NOT_PRESENT' })
    })

    it('fetches one GGUF file, in a folder, from a listing of many pages', async () => {
      hub.pageSize = 2
      const { files } = hub.repositories['maker/model']
      for (const name of ['a', 'b', 'c', 'd', 'e']) files[`q/model-${name}.gguf`] = noise(100, name.charCodeAt(0))
      const path = await pullModel(`${NAME}:q/model-d.gguf`, options)
      expect(path).to.equal(join(snapshot(), 'q', 'model-d.gguf'))
      expect(readFileSync(path)).to.deep.equal(files['q/model-d.gguf'])
      expect(hub.contentRequests).to.deep.equal(['q/model-d.gguf'])
      expect(await resolveModel(`${NAME}:q/model-d.gguf`, { ...options, download: false })).to.equal(path)
    })

    it('serves two pulls of one model at the same time', async () => {
      const paths = await Promise.all([pullModel(NAME, options), pullModel(NAME, options), pullModel(NAME, options)])
      expect(paths).to.deep.equal([snapshot(), snapshot(), snapshot()])
      expect(readFileSync(join(snapshot(), 'model.safetensors'))).to.deep.equal(WEIGHTS)
      expect(filesBelow(cache).filter(name => name.endsWith('.incomplete'))).to.deep.equal([])
    })

    it('links the files of one commit many times at once, and leaves nothing else', async () => {
      const path = await pullModel(NAME, options)
      const files = filesBelow(path)
      for (let round = 0; round < 20; round++) {
        rmSync(path, { recursive: true })
        await Promise.all(Array.from({ length: 8 }, async () => await pullModel(NAME, options)))
        expect(filesBelow(path)).to.deep.equal(files)
      }
    })
  })

  describe('without the hub', () => {
    it('takes what is here where HF_HUB_OFFLINE is set, and asks nobody', async () => {
      const offline = { ...options, environment: { ...options.environment, HF_HUB_OFFLINE: '1' } }
      expect(await failureOf(pullModel(NAME, offline))).to.include({ code: 'ERR_MODEL_NOT_PRESENT' })
      expect(hub.requests).to.deep.equal([])
      await pullModel(NAME, options)
      hub.requests.length = 0
      expect(await pullModel(NAME, offline)).to.equal(snapshot())
      expect(hub.requests).to.deep.equal([])
    })

    it('takes what is here where the hub is down, and says so', async () => {
      await pullModel(NAME, options)
      await hub.stop()
      events.length = 0
      expect(await pullModel(NAME, options)).to.equal(snapshot())
      expect(events.find(event => event.phase === 'fallback')).to.include({ source: 'disk' })
    })

    it('lists what is here', async () => {
      await pullModel(NAME, options)
      const models = await listModels({ environment: options.environment })
      expect(models.filter(model => model.path !== undefined).map(model => model.name)).to.deep.equal(['sotu-4m', 'sotu-4m-compressed', `hf:maker/model@${COMMIT}`])
      // weights of a package are in a folder of their own
      expect(models.find(({ name }) => name === 'sotu-4m-compressed')!.byteLength).to.be.above(2.4e6)
      expect(models.at(-1)!.byteLength).to.be.greaterThan(WEIGHTS.length)
      expect(models.map(model => model.name)).to.include('qwen3-0.6b')
    })
  })

  it('finds the cache folder by the hub\'s variables', () => {
    const home = { HOME: '/h' }
    expect(hubCacheDirectory({ ...home, HF_HUB_CACHE: '/a', HUGGINGFACE_HUB_CACHE: '/b', HF_HOME: '/c', XDG_CACHE_HOME: '/d' })).to.equal('/a')
    expect(hubCacheDirectory({ ...home, HUGGINGFACE_HUB_CACHE: '/b', HF_HOME: '/c', XDG_CACHE_HOME: '/d' })).to.equal('/b')
    expect(hubCacheDirectory({ ...home, HF_HOME: '/c', XDG_CACHE_HOME: '/d' })).to.equal(join('/c', 'hub'))
    expect(hubCacheDirectory({ ...home, XDG_CACHE_HOME: '/d' })).to.equal(join('/d', 'huggingface', 'hub'))
    expect(hubCacheDirectory(home)).to.equal(join('/h', '.cache', 'huggingface', 'hub'))
  })
})

describe('pull: what needs no network', () => {
  it('says what a name could have been', async () => {
    const word = await failureOf(resolveModel('no-such-model'))
    expect(word).to.include({ code: 'ERR_UNKNOWN_MODEL' })
    expect(word.message).to.include('sotu-4m')
    expect((await failureOf(resolveModel('owner/repo'))).message).to.include('hf:owner/repo')
    expect((await failureOf(pullModel('./absent.gguf'))).message).to.include('nothing is at that path')
  })

  it('gives paths as they are, and the model of this package', async () => {
    const path = await resolveModel('sotu-4m')
    expect(filesBelow(path)).to.include.members(['config.json', 'model.safetensors'])
    expect(await pullModel('sotu-4m')).to.equal(path)
    expect(await resolveModel(path)).to.equal(path)
  })
})
