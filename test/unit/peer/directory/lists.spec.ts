import { defaultLogger } from '@libp2p/logger'
import { expect } from 'chai'
import fc from 'fast-check'
import { Key } from 'interface-datastore/key'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { parseAllowList } from '../../../../src/peer/directory/allow-list.ts'
import { BoundedDatastore } from '../../../../src/peer/directory/bounded-datastore.ts'
import { BoundedMap } from '../../../../src/peer/directory/bounded-map.ts'
import { chooseDials, nextDial } from '../../../../src/peer/directory/choose-dials.ts'
import { createNetworkKey, formatNetworkKey, parseNetworkKey } from '../../../../src/peer/directory/network-key.ts'
import { openRememberedList } from '../../../../src/peer/directory/remembered-list.ts'
import { parseRemembered, prune, remember, rememberFailure } from '../../../../src/peer/directory/remembered.ts'
import type { RememberedPeer } from '../../../../src/peer/directory/remembered.ts'
import { createTokenBucket } from '../../../../src/peer/directory/token-bucket.ts'
import { fakeClock, identity, MODEL, OTHER_MODEL } from '../../../support/records.ts'
import { integerGenerator } from '../../../support/random-bytes.ts'
import { temporaryFolder } from '../../../support/temporary-folder.ts'

const DAY = 24 * 60 * 60_000

describe('directory: network key', function () {
  it('is nothing else', function () {
    for (const text of ['', 'secret', 'ab'.repeat(31), `/key/swarm/psk/2.0.0/\n/base16/\n${'ab'.repeat(32)}`, `${'ab'.repeat(32)} ${'ab'.repeat(32)}`]) {
      expect(() => parseNetworkKey(text), text).to.throw('network key').with.property('code', 'ERR_NETWORK_KEY')
    }
    expect(() => formatNetworkKey(new Uint8Array(31))).to.throw('31 bytes')
  })

  it('is read from the form of other software too', function () {
    const key = createNetworkKey()
    expect(key).to.have.length(32)
    expect(createNetworkKey()).not.to.deep.equal(key)
    expect(parseNetworkKey(formatNetworkKey(key))).to.deep.equal(key)
    expect(parseNetworkKey(`/key/swarm/psk/1.0.0/\r\n/base16/\r\n${Buffer.from(key).toString('hex').toUpperCase()}`)).to.deep.equal(key)
    expect(parseNetworkKey(Buffer.from(key).toString('hex'))).to.deep.equal(key)
  })
})

describe('directory: allow-list', function () {
  it('says which entry is no peer', function () {
    expect(() => parseAllowList('12D3KooWNobody')).to.throw('12D3KooWNobody').with.property('code', 'ERR_INVALID_PEER_ID')
  })

  it('takes lines, commas and remarks', async function () {
    const ids = (await Promise.all([1, 2, 3].map(identity))).map(({ peerId }) => peerId)
    expect(parseAllowList(`# mine\n${ids[0]} # the attic\n\n${ids[1]},${ids[2]}, ${ids[0]}\n`)).to.deep.equal(ids)
    expect(parseAllowList('# nobody')).to.deep.equal([])
  })
})

describe('directory: remembered peers', function () {
  const folder = temporaryFolder()
  const peer = (peerId: string, changes: Partial<RememberedPeer> = {}): RememberedPeer => ({ peerId, addresses: ['/ip4/1.2.3.4/tcp/1'], modelId: MODEL, seen: 0, failures: 0, ...changes })
  const list = async (name: string, clock = fakeClock()) => await openRememberedList(folder.path(name), clock, defaultLogger().forComponent('test'))

  it('leaves out of a file what does not belong there', async function () {
    for (const text of ['', '{', '[]', 'null', '{"version":2,"peers":[]}', '{"version":1,"peers":7}']) expect(parseRemembered(text), text).to.deep.equal([])
    const odd = [null, 7, {}, { ...peer('a'), addresses: 'x' }, { ...peer('a'), modelId: 'x' }, { ...peer('a'), seen: '1' }, peer('b')]
    expect(parseRemembered(JSON.stringify({ version: 1, peers: odd }))).to.deep.equal([peer('b')])
    writeFileSync(folder.path('broken.json'), 'x'.repeat(2 << 20))
    expect((await list('broken.json')).peers(MODEL)).to.deep.equal([])
  })

  it('forgets the old, those that never answer, and the oldest of too many', function () {
    expect(prune([peer('a'), peer('b', { seen: 2 * DAY })], 31 * DAY).map(({ peerId }) => peerId)).to.deep.equal(['b'])
    let peers = [peer('a'), peer('b')]
    for (let turn = 0; turn < 16; turn++) peers = rememberFailure(peers, 'a', 1)
    expect(peers).to.deep.equal([peer('b')])
    expect(remember(rememberFailure(peers, 'b', 1), peer('b', { seen: 5 }))).to.deep.equal([peer('b', { seen: 5 })])
    fc.assert(fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 200 }), fc.nat(1000))), meetings => {
      let peers: RememberedPeer[] = []
      let now = 0
      for (const [id, pause] of meetings) peers = remember(peers, peer(String(id), { seen: now += pause }))
      expect(peers.length).to.be.at.most(64)
      expect(new Set(peers.map(({ peerId }) => peerId)).size).to.equal(peers.length)
      if (meetings.length > 0) expect(peers[0].peerId).to.equal(String(meetings.at(-1)![0]))
    }), { seed: 1 })
  })

  it('survives a file that cannot be written', async function () {
    mkdirSync(folder.path('taken.json'))
    const kept = await list('taken.json')
    kept.met({ peerId: 'a', addresses: ['/ip4/1.2.3.4/tcp/1'], modelId: MODEL })
    await kept.close()
    expect(kept.peers(MODEL)).to.have.length(1)
  })

  it('is there again after a restart, also after a crash', async function () {
    const clock = fakeClock()
    const first = await list('peers.json', clock)
    first.met({ peerId: 'a', addresses: ['/ip4/1.2.3.4/tcp/1'], modelId: MODEL })
    first.met({ peerId: 'b', addresses: ['/ip4/1.2.3.4/tcp/2'], modelId: OTHER_MODEL })
    first.met({ peerId: 'c', addresses: [], modelId: MODEL })
    // what has never been closed
    await first.close()
    expect(statSync(folder.path('peers.json')).mode & 0o777).to.equal(0o600)
    const second = await list('peers.json', clock)
    expect(second.peers(MODEL).map(({ peerId }) => peerId)).to.deep.equal(['a'])
    expect(second.peers(OTHER_MODEL)[0]).to.deep.include({ addresses: ['/ip4/1.2.3.4/tcp/2'], seen: clock.wall(), failures: 0 })
    second.failed('a')
    second.failed('nobody')
    await second.close()
    expect(JSON.parse(readFileSync(folder.path('peers.json'), 'utf8')).peers.map(({ failures }: RememberedPeer) => failures)).to.have.members([1, 0])
    expect(readdirSync(folder.path()).filter(name => name.startsWith('peers.json'))).to.deep.equal(['peers.json'])
  })
})

describe('directory: choice of peers to dial', function () {
  const candidate = (peerId: string) => ({ peerId, addresses: ['/ip4/1.2.3.4/tcp/1'] })
  const choice = { taken: new Set<string>(), history: () => undefined, wanted: 10, now: 0, random: () => 0.5 }

  it('chooses nobody who cannot or need not be dialled', function () {
    const groups = [[{ peerId: 'nowhere', addresses: [] }, candidate('taken'), candidate('failed'), candidate('a')]]
    const history = (peerId: string) => peerId === 'failed' ? { failures: 2, at: -3999 } : undefined
    expect(chooseDials({ ...choice, groups, taken: new Set(['taken']), history })).to.deep.equal([candidate('a')])
    expect(chooseDials({ ...choice, groups, history, now: 1 }).map(({ peerId }) => peerId)).to.include('failed')
    expect(chooseDials({ ...choice, groups, wanted: 0 })).to.deep.equal([])
    expect(chooseDials({ ...choice, groups, wanted: -1 })).to.deep.equal([])
  })

  it('waits twice as long after each failure, up to five minutes', function () {
    expect([0, 1, 2, 3, 8, 60].map(failures => nextDial({ failures, at: 0 }))).to.deep.equal([-Infinity, 2000, 4000, 8000, 256_000, 300_000])
  })

  it('takes better sources first, and nobody twice', function () {
    fc.assert(fc.property(fc.array(fc.array(fc.constantFrom(...'abcdefgh'), { maxLength: 6 }), { maxLength: 4 }), fc.nat(8), fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })), (groups, wanted, draws) => {
      const chosen = chooseDials({ ...choice, groups: groups.map(ids => ids.map(candidate)), wanted, random: () => draws.next().value! }).map(({ peerId }) => peerId)
      const all = [...new Set(groups.flat())]
      expect(chosen).to.have.length(Math.min(wanted, all.length))
      expect(new Set(chosen).size).to.equal(chosen.length)
      const rank = (peerId: string): number => groups.findIndex(group => group.includes(peerId))
      expect(chosen.map(rank)).to.deep.equal(chosen.map(rank).sort((one, other) => one - other))
    }), { seed: 1 })
  })

  it('spreads its choice', function () {
    const ids = [...'abcdefghijklmnop']
    const seen = new Map<string, number>()
    const below = integerGenerator(1)
    for (let turn = 0; turn < 800; turn++) {
      for (const { peerId } of chooseDials({ ...choice, groups: [ids.map(candidate)], wanted: 4, random: () => below(1000) / 1000 })) seen.set(peerId, (seen.get(peerId) ?? 0) + 1)
    }
    expect(Math.min(...ids.map(id => seen.get(id) ?? 0))).to.be.above(150)
  })
})

describe('directory: bounds', function () {
  it('a bounded map forgets what was longest not set', function () {
    const map = new BoundedMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    map.set('a', 3)
    map.set('c', 4)
    expect([...map]).to.deep.equal([['a', 3], ['c', 4]])
  })

  it('a token bucket gives no more than its rate', function () {
    fc.assert(fc.property(fc.array(fc.nat(3000), { maxLength: 100 }), pauses => {
      const bucket = createTokenBucket(5, 2)
      let now = 0
      let taken = 0
      for (const pause of pauses) {
        now += pause
        if (bucket.take(now)) taken++
      }
      expect(taken).to.be.at.most(5 + 2 * now / 1000)
    }), { seed: 1 })
    const bucket = createTokenBucket(1, 1)
    // a clock that goes back gives nothing
    expect([1000, 1000, 500, 2000].map(now => bucket.take(now))).to.deep.equal([true, false, false, true])
  })

  it('a bounded datastore drops the oldest of a kind', async function () {
    const store = new BoundedDatastore(2)
    const key = (name: string): Key => new Key(name)
    for (const name of ['/dht/a', '/dht/b', '/peers/a', '/dht/a', '/dht/c']) store.put(key(name), Uint8Array.of(1))
    expect(['/dht/a', '/dht/b', '/dht/c', '/peers/a'].map(name => store.has(key(name)))).to.deep.equal([true, false, true, true])
    store.delete(key('/dht/a'))
    store.put(key('/dht/d'), Uint8Array.of(1))
    expect(store.has(key('/dht/c'))).to.equal(true)
  })
})
