import { expect } from 'chai'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expectAsDocumented } from '../unit/cli/documented.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { killAll, run, runJson, start, startPeer, stop } from './cli-process.ts'
import type { DoctorJson, InviteJson, PeerJson, PromptJson } from '../../src/cli/json.ts'

describe('joining by invite, as processes', function () {
  this.timeout(120_000)
  const folder = temporaryFolder()
  afterEach(killAll)

  const env = () => ({ EFEDLLM_DATA_DIR: folder.path('data') })

  it('says what is wrong with an invite, a key, a list, and where no peer runs', async () => {
    const results = await Promise.all([
      run(['prompt', 'x', '--join', 'efedllm1nonsense']),
      run(['peer', '--ephemeral', '--network-key', folder.write('wrong.key', 'secret')]),
      run(['peer', '--ephemeral', '--listen', '/ip4/127.0.0.1/tcp/0', '--allow', '12D3KooWNobody']),
      run(['invite'], { env: { EFEDLLM_DATA_DIR: folder.path('nothing') } }),
      run(['peer', '--ephemeral', '--network-key', folder.path('nope')]),
      run(['status', '--network-key', folder.path('.')])
    ])
    expect(results.map(({ code }) => code)).to.deep.equal([2, 2, 2, 2, 2, 2])
    expect(results[0].stderr).to.match(/no invite: .*copy it again/)
    expect(results[1].stderr).to.match(/network key: it has not the form of one/)
    expect(results[2].stderr).to.match(/12D3KooWNobody: is no peer id/)
    expect(results[3].stderr).to.match(/no peer runs with/)
    expect(results[4].stderr).to.match(/--network-key .*nope: there is no such file\n.*key generate/)
    expect(results[5].stderr).to.match(/--network-key .*: cannot be read/)
  })

  it('one string is enough to ask, to host, and to invite others', async () => {
    // a peer gives what it has packed: another one of this machine has packed it all
    await stop(await startPeer())
    const first = await startPeer('--layers', '0:4')
    expectAsDocumented(first.ready, 'peer')
    const invite = first.ready.invite!
    const joined = start(['peer', invite, '--ephemeral', '--listen', '/ip4/127.0.0.1/tcp/0', '--json'], { env: { XDG_CACHE_HOME: folder.path('joining') } })
    const ready = JSON.parse(await joined.until('stdout', /^.*\n/)) as PeerJson
    expect(ready.units).to.equal('layers 4:8, head')
    const answer = await runJson<PromptJson>(['prompt', 'Fellow citizens', '--join', `${invite},${ready.addresses[0]}`, '--max-tokens', '8'])
    expect(answer.route.map(({ peerId }) => peerId)).to.deep.equal([first.ready.peerId, ready.peerId])
    const again = await runJson<InviteJson>(['invite', '--join', ready.addresses[0]])
    expectAsDocumented(again, 'invite')
    expect(again.private).to.equal(false)
    expect(again.addresses.some(address => address.endsWith(first.ready.peerId))).to.equal(true)
    await stop(first)
    await stop(joined)
  })

  it('a private swarm is entered by key or invite, and by nobody else', async () => {
    const key = folder.path('swarm.key')
    expect((await run(['key', 'generate', key])).code).to.equal(0)
    expect(statSync(key).mode & 0o777).to.equal(0o600)
    expect((await run(['key', 'generate', key])).stderr).to.contain('is there already')
    const peer = start(['peer', '--network-key', key, '--listen', '/ip4/127.0.0.1/tcp/0', '--json'], { env: env() })
    const ready = JSON.parse(await peer.until('stdout', /^.*\n/)) as PeerJson
    expect(ready.invite).to.equal(null)
    const invite = await runJson<InviteJson>(['invite'], { env: env() })
    expect(invite).to.deep.include({ private: true, modelId: ready.model.modelId })
    const [stranger, member, byKey] = await Promise.all([
      run(['prompt', 'x', '--join', ready.addresses[0], '--max-tokens', '1']),
      runJson<PromptJson>(['prompt', 'x', '--join', invite.invite, '--max-tokens', '1']),
      runJson<PromptJson>(['prompt', 'x', '--join', ready.addresses[0], '--network-key', key, '--max-tokens', '1'])
    ])
    expect(stranger.code).to.equal(1)
    expect(stranger.stderr).to.contain('cannot be reached')
    expect(member.tokenIds).to.deep.equal(byKey.tokenIds)
    await stop(peer)
    expect(existsSync(join(folder.path('data'), 'peer', 'invite'))).to.equal(false)
  })

  it('a list of who may take part lets in a client that is known again', async () => {
    const identity = folder.path('identity')
    const ids = [await run(['key', 'id', identity]), await run(['key', 'id', identity])].map(({ stdout }) => stdout)
    expect(ids[0]).to.match(/^12D3KooW\w+\n$/).and.equal(ids[1])
    const peer = start(['peer', '--ephemeral', '--allow', ids[0].trim(), '--listen', '/ip4/127.0.0.1/tcp/0', '--no-mdns', '--no-dht', '--json'], { env: env() })
    const { addresses } = JSON.parse(await peer.until('stdout', /^.*\n/)) as PeerJson
    const ask = ['prompt', 'Fellow citizens', '--join', addresses[0], '--max-tokens', '2', '--deadline', '5s']
    const [stranger, member, twice] = await Promise.all([run(ask), run([...ask, '--identity', identity]), run(['status', '--join', addresses[0], '--identity', identity])])
    expect([stranger.code, member.code, twice.code]).to.deep.equal([1, 0, 0])
    expect(member.stdout).to.not.equal('')
    await stop(peer)
  })

  it('the doctor finds nothing wrong, and what is', async () => {
    const peer = await startPeer()
    const well = await runJson<DoctorJson>(['doctor', '--join', peer.address, '--listen', '/ip4/127.0.0.1/tcp/0'], { env: { EFEDLLM_DATA_DIR: folder.path('doctor') } })
    expectAsDocumented(well, 'doctor')
    expect(well).to.deep.include({ modelId: peer.ready.model.modelId, problems: [] })
    expect(well.reachability.status).to.equal('direct')
    expect(well.clockSkewMilliseconds).to.be.within(-2000, 2000)
    await stop(peer)
    const part = await startPeer('--layers', '0:4')
    const ill = await run(['doctor', '--join', `${part.address},${peer.address}`, '--listen', '/ip4/127.0.0.1/tcp/0'], { env: { EFEDLLM_DATA_DIR: folder.path('doctor') } })
    expect(ill.code).to.equal(1)
    expect(ill.stderr).to.contain('nobody serves layers 4:8, head').and.contain(peer.address)
    const alone = await run(['doctor', '--listen', '/ip4/127.0.0.1/tcp/0'], { env: { EFEDLLM_DATA_DIR: folder.path('alone') } })
    expect(alone.code).to.equal(1)
    expect(alone.stderr).to.contain('no peer answers')
  })
})
