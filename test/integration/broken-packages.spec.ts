import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { readPackage } from '../../src/model/index.ts'
import { soundUnit, writeRandomPackage } from '../support/packages.ts'
import { smallArchitecture } from '../support/random-weights.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { killAll, run, startPeer } from './cli-process.ts'

const ARCHITECTURE = smallArchitecture()

/** test/unit/cli/mutated-packages.spec.ts has a thousand of them, in process. */
describe('efedllm peer, given a package that is not what it says', function () {
  this.timeout(120_000)
  const folder = temporaryFolder()
  let directory: string

  beforeEach(async () => {
    directory = folder.path(`package-${Math.random()}`)
    await writeRandomPackage(folder, directory, ARCHITECTURE, { unit: unit => soundUnit(ARCHITECTURE, unit) })
  })
  afterEach(killAll)

  const flip = (path: string, at: number): void => {
    const bytes = readFileSync(path)
    bytes[at < 0 ? bytes.length + at : at] ^= 1
    writeFileSync(path, bytes)
  }
  const unit = (index: number): string => {
    const { manifest, paths } = readPackage(directory)
    return paths.blob(manifest.units[index])
  }

  const damages: Array<[string, () => void]> = [
    ['a manifest that is cut off', () => truncateSync(join(directory, 'manifest.json'), 200)],
    ['a manifest of other numbers', () => {
      const path = join(directory, 'manifest.json')
      writeFileSync(path, readFileSync(path, 'utf8').replace('"hiddenSize":64', '"hiddenSize":96'))
    }],
    ['one bit of a header', () => flip(unit(1), 20)],
    ['one bit of the weights', () => flip(unit(2), -5)],
    ['more bytes than there should be', () => appendFileSync(unit(3), 'x')],
    ['a tokenizer with a wrong bit', () => {
      const { manifest, paths } = readPackage(directory)
      flip(paths.blob(manifest.tokenizer), -20)
    }]
  ]

  it('hosts it while it is sound', async () => {
    expect((await startPeer('--model', directory, '--no-mdns', '--no-dht')).ready.addresses).to.have.length(1)
  })

  for (const [what, damage] of damages) {
    it(`${what}: ends with code 1 and one line, and listens nowhere`, async () => {
      damage()
      const { code, stdout, stderr } = await run(['peer', '--ephemeral', '--listen', '/ip4/127.0.0.1/tcp/0', '--no-mdns', '--no-dht', '--model', directory])
      expect(code).to.equal(1)
      // no address was ever said
      expect(stdout).to.equal('')
      expect(stderr).to.match(/^efedllm: .{10,}\n( {2}.+\n)?$/)
    })
  }
})
