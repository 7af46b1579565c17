import { expect } from 'chai'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expectAsDocumented } from '../unit/cli/documented.ts'
import { killAll, run, start, startPeer } from './cli-process.ts'
import type { StatusJson } from '../../src/cli/json.ts'

const quiet = ['--threads', '1', '--no-mdns', '--no-dht']

describe('status, peers and drain', function () {
  this.timeout(60_000)
  const folder = mkdtempSync(join(tmpdir(), 'efedllm-status-'))
  afterEach(killAll)
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('fail where nobody answers, or nobody is to be drained', async () => {
    for (const name of ['status', 'peers']) {
      const { code, stderr } = await run([name, '--data-dir', folder])
      expect(code).to.equal(1)
      expect(stderr).to.contain('no peer answers')
    }
    const { code, stderr } = await run(['drain', '--data-dir', folder])
    expect(code).to.equal(2)
    expect(stderr).to.contain('no peer runs with the data directory')
  })

  it('show what is hosted by how many, also by peers that only others know', async () => {
    const first = await startPeer('--layers', '0:4', ...quiet)
    const second = await startPeer('--layers', '2:8', '--join', first.address, ...quiet)
    let json: StatusJson
    do {
      const { code, stdout } = await run(['status', '--join', first.address, '--json'])
      json = JSON.parse(stdout) as StatusJson
      expect(code).to.equal(json.peers.length === 2 ? 0 : 1)
      // the announcement of the second one is on its way
    } while (json.peers.length < 2)
    expectAsDocumented(json, 'status')
    expect(json.holders).to.deep.equal([1, 1, 1, 2, 2, 1, 1, 1, 1, 1])
    expect(json.weakest).to.deep.equal([0, 1, 2, 5, 6, 7, 8, 9])
    expect(json.peers.map(({ peerId }) => peerId)).to.have.members([first.ready.peerId, second.ready.peerId])
    const { stdout } = await run(['status', '--join', second.address])
    expect(stdout).to.match(/embed, layers 0:2 +1 peer +weakest/).and.match(/layers 2:4 +2 peers$/m).and.contain('0 sessions')
    second.child.kill('SIGKILL')
    await second.ended
  })

  it('end a peer in order', async () => {
    const peer = start(['peer', '--data-dir', folder, '--listen', '/ip4/127.0.0.1/tcp/0', '--json', ...quiet])
    await peer.until('stdout', /\n/)
    const { code, stderr } = await run(['drain', '--data-dir', folder])
    expect(code).to.equal(0)
    expect(stderr).to.contain(`peer ${peer.pid} drains`).and.contain('it has stopped')
    expect((await peer.ended).code).to.equal(0)
  })
})
