import type { Connection, Libp2p, MultiaddrConnection, PeerId } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { expect } from 'chai'
import { createDialBack, observedHost } from '../../../../src/peer/directory/dial-back.ts'
import { createGater } from '../../../../src/peer/directory/gater.ts'
import { createPendingConnections } from '../../../../src/peer/directory/pending-connections.ts'
import { judgeReachability } from '../../../../src/peer/directory/reachability.ts'
import type { DialBackReport } from '../../../../src/peer/directory/reachability.ts'
import { isPublicHost } from '../../../../src/peer/dial-rules.ts'
import { fakeClock } from '../../../support/records.ts'

const PEER = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'

describe('directory: dial back', function () {
  function server (dial: (address: string) => Promise<void> = async () => {}) {
    const dialled: string[] = []
    const clock = fakeClock()
    const back = createDialBack({
      dial: (async (address: { toString (): string }) => {
        dialled.push(address.toString())
        await dial(address.toString())
        return { close: async () => {} }
      }) as unknown as Libp2p['dial']
    }, clock)
    const from = (address: string, peer = PEER): Connection => ({ remotePeer: { toString: () => peer }, remoteAddr: { toString: () => address } }) as unknown as Connection
    return { back, dialled, clock, from }
  }

  it('knocks nowhere but where the question came from', async function () {
    const { back, dialled, from } = server()
    expect(await back(from(`/ip4/203.0.113.5/tcp/50000/p2p/${PEER}`), [4001, 4002])).to.deep.equal(['reached', 'reached'])
    expect(dialled).to.deep.equal([`/ip4/203.0.113.5/tcp/4001/p2p/${PEER}`, `/ip4/203.0.113.5/tcp/4002/p2p/${PEER}`])
  })

  it('not through relays, not at ports of the system, and not too often', async function () {
    const { back, dialled, clock, from } = server()
    expect(await back(from(`/ip4/203.0.113.5/tcp/4001/p2p/${PEER}/p2p-circuit`), [4001])).to.deep.equal(['notTried'])
    expect(await back(from('/ip4/203.0.113.5/tcp/50000'), [22])).to.deep.equal(['notTried'])
    expect(await back(from('/ip4/203.0.113.5/tcp/50000'), [4001])).to.deep.equal(['notTried'])
    clock.pass(10_000)
    expect(await back(from('/ip4/203.0.113.5/tcp/50000'), [4001])).to.deep.equal(['reached'])
    expect(dialled).to.have.length(1)
  })

  it('not for more than a few at once', async function () {
    const waiting = Promise.withResolvers<void>()
    const { back, from } = server(async () => await waiting.promise)
    const answers = Array.from({ length: 9 }, async (_value, index) => await back(from('/ip4/203.0.113.5/tcp/50000', `peer ${index}`.replace(/.*/, PEER.slice(0, -1) + '123456789'[index])), [4001]))
    expect(await answers[8]).to.deep.equal(['notTried'])
    waiting.resolve()
    await Promise.all(answers)
  })

  it('tells another peer from none', async function () {
    const { back, from } = server(async address => {
      throw Object.assign(new Error('no'), { name: address.includes('4001') ? 'UnexpectedPeerError' : 'TimeoutError' })
    })
    expect(await back(from('/ip4/203.0.113.5/tcp/50000'), [4001, 4002])).to.deep.equal(['otherPeer', 'unreachable'])
  })

  it('reads the host of an address', function () {
    expect(observedHost('/ip4/1.2.3.4/tcp/1/p2p/x')).to.equal('/ip4/1.2.3.4')
    expect(observedHost('/ip6/::ffff:1.2.3.4/tcp/1')).to.equal('/ip4/1.2.3.4')
    expect(observedHost('/ip6/2001:db8::1/tcp/1')).to.equal('/ip6/2001:db8::1')
    expect(observedHost('/dns4/example.org/tcp/1')).to.equal(undefined)
    expect(observedHost('/ip4/1.2.3.4/tcp/1/p2p/x/p2p-circuit')).to.equal(undefined)
    expect(isPublicHost('/ip4/1.2.3.4')).to.equal(true)
    expect(isPublicHost('/ip4/192.168.1.1')).to.equal(false)
    expect(isPublicHost('/ip6/fe80::1')).to.equal(false)
    expect(isPublicHost('')).to.equal(false)
  })
})

describe('directory: reachability', function () {
  const report = (observed: string, ...outcomes: DialBackReport['outcomes']): DialBackReport => ({ peerId: PEER, observed, ports: [4001, 4002].slice(0, outcomes.length), outcomes })
  const judge = (reports: DialBackReport[], ports = [4001]) => judgeReachability(reports, ports, isPublicHost)

  it('is unknown while nobody has tried', function () {
    expect(judge([])).to.deep.include({ status: 'unknown' })
    expect(judge([report('/ip4/1.2.3.4/tcp/5', 'notTried')])).to.deep.include({ status: 'unknown' })
  })

  it('is none without a port', function () {
    expect(judge([report('/ip4/1.2.3.4/tcp/5', 'reached')], [])).to.deep.include({ status: 'unreachable' })
  })

  it('is decided from outside where anybody is there', function () {
    const near = report('/ip4/192.168.1.9/tcp/5', 'reached')
    expect(judge([near])).to.deep.include({ status: 'direct' })
    expect(judge([near]).reason).to.contain('from outside it may be otherwise')
    expect(judge([near, report('/ip4/1.2.3.4/tcp/5', 'unreachable')])).to.deep.include({ status: 'unreachable' })
    expect(judge([near, report('/ip4/1.2.3.4/tcp/5', 'unreachable')]).reason).to.contain('1.2.3.4, port 4001').and.contain('forward the port')
    expect(judge([report('/ip4/1.2.3.4/tcp/5', 'unreachable'), report('/ip4/1.2.3.4/tcp/6', 'unreachable', 'reached')], [4001, 4002])).to.deep.equal({ status: 'direct', reason: 'a peer reached it at 1.2.3.4, port 4002' })
  })

  it('says when somebody else is there', function () {
    expect(judge([report('/ip4/1.2.3.4/tcp/5', 'otherPeer')]).reason).to.contain('another peer answers at 1.2.3.4, port 4001')
  })
})

describe('directory: gater', function () {
  const peer = (id: string): PeerId => ({ toString: () => id }) as PeerId

  it('lets in nobody who is not in the list, and says so', async function () {
    const refused: string[] = []
    const gater = createGater({ pending: createPendingConnections(10), allow: new Set(['friend']), connections: () => [], onRefused: (peerId, reason) => refused.push(`${peerId}: ${reason}`) })
    for (const hook of [gater.denyDialPeer, gater.denyInboundEncryptedConnection, gater.denyOutboundEncryptedConnection]) {
      expect(await hook?.(peer('stranger'), undefined as never)).to.equal(true)
      expect(await hook?.(peer('friend'), undefined as never)).to.equal(false)
    }
    expect(refused).to.have.length(3)
    expect(refused[1]).to.equal('stranger: it wanted to connect, and is not in the allow-list')
  })

  it('lets everybody in where there is no list, but nobody all the time', async function () {
    const refused: string[] = []
    const open = new Map([['one', 3], ['four', 4]])
    const incoming = { remoteAddr: multiaddr('/ip4/1.2.3.4/tcp/4001') } as MultiaddrConnection
    const gater = createGater({ pending: createPendingConnections(10), allow: undefined, connections: id => Array.from({ length: open.get(id.toString()) ?? 0 }) as Connection[], onRefused: (peerId, reason) => refused.push(`${peerId}: ${reason}`) })
    expect(await gater.denyInboundEncryptedConnection?.(peer('one'), undefined as never)).to.equal(false)
    expect(await gater.denyInboundUpgradedConnection?.(peer('one'), incoming)).to.equal(false)
    expect(await gater.denyInboundUpgradedConnection?.(peer('four'), incoming)).to.equal(true)
    expect(refused).to.deep.equal(['four: it has 4 connections already'])
  })
})
