import { expect } from 'chai'
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KeyFileError } from '../../../src/peer/index.ts'
import { KEY_FILE, loadOrCreateKey } from '../../../src/peer/key.ts'

describe('peer: key on disk', () => {
  let directory = ''
  beforeEach(async () => { directory = await mkdtemp(join(tmpdir(), 'efedllm-key-')) })
  afterEach(async () => await rm(directory, { recursive: true }))

  it('refuses a file that holds no key', async () => {
    for (const content of ['', 'nonsense', 'x'.repeat(10_000)]) {
      await writeFile(join(directory, KEY_FILE), content)
      let error
      try {
        await loadOrCreateKey(directory)
      } catch (problem) {
        error = problem as Error
      }
      expect(error).to.be.instanceOf(KeyFileError)
      expect(error?.message).to.contain(KEY_FILE)
    }
  })

  it('is made once, for the owner only, and kept', async () => {
    const inner = join(directory, 'a', 'b')
    const first = await loadOrCreateKey(inner)
    const second = await loadOrCreateKey(inner)
    expect(first.equals(second)).to.equal(true)
    expect((await stat(join(inner, KEY_FILE))).mode & 0o777).to.equal(0o600)
    expect((await stat(inner)).mode & 0o777).to.equal(0o700)
    expect(await readdir(inner)).to.deep.equal([KEY_FILE])
    await chmod(join(inner, KEY_FILE), 0o644)
    await loadOrCreateKey(inner)
    expect((await stat(join(inner, KEY_FILE))).mode & 0o777).to.equal(0o600)
  })

  it('is the same for two that start at once', async () => {
    const keys = await Promise.all(Array.from({ length: 8 }, async () => await loadOrCreateKey(directory)))
    for (const key of keys) expect(key.equals(keys[0])).to.equal(true)
    expect(await readdir(directory)).to.deep.equal([KEY_FILE])
  })
})
