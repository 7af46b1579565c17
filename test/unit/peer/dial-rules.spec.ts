import { expect } from 'chai'
import { createDialBudget, dialableAddresses } from '../../../src/peer/dial-rules.ts'

const peer = '12D3KooWpeer'
const dialable = (address: string, client: string): string[] => dialableAddresses([address], peer, client)

describe('peer: rules of dialling for a client', () => {
  const publicClient = '/ip4/8.8.4.4/tcp/50000/p2p/12D3KooWclient'
  const lanClient = '/ip4/192.168.1.7/tcp/50000'
  const localClient = '/ip4/127.0.0.1/tcp/50000'

  it('takes only literal TCP addresses of the right peer', () => {
    for (const address of [
      '/dns4/example.org/tcp/4001', '/dnsaddr/example.org', '/ip4/9.9.9.9/udp/4001/quic-v1', '/ip4/9.9.9.9/tcp/4001/ws', '/ip4/9.9.9.9/tcp/4001/p2p/12D3KooWother',
      '/ip4/9.9.9.9/tcp/4001/p2p/12D3KooWrelay/p2p-circuit', '/unix/tmp/socket', 'nonsense', '', '/ip4/999.9.9.9/tcp/4001', '/ip4/9.9.9.9/tcp/65536', '/ip6/::::/tcp/4001', '/ip6zone/eth0/ip6/fe80::1/tcp/4001'
    ]) expect(dialable(address, localClient), address).to.deep.equal([])
    expect(dialable('/ip4/9.9.9.9/tcp/4001', publicClient)).to.deep.equal([`/ip4/9.9.9.9/tcp/4001/p2p/${peer}`])
    expect(dialable(`/ip6/2606:4700::1/tcp/4001/p2p/${peer}`, publicClient)).to.deep.equal([`/ip6/2606:4700::1/tcp/4001/p2p/${peer}`])
  })

  it('dials nothing more private than where the client comes from', () => {
    const lan = ['/ip4/10.1.2.3/tcp/4001', '/ip4/172.31.0.1/tcp/4001', '/ip4/192.168.0.9/tcp/4001', '/ip4/100.64.1.1/tcp/4001', '/ip6/fd00::1/tcp/4001']
    const local = ['/ip4/127.0.0.1/tcp/4001', '/ip4/127.9.9.9/tcp/4001', '/ip6/::1/tcp/4001']
    const link = ['/ip4/169.254.169.254/tcp/8080', '/ip6/fe80::1/tcp/4001']
    for (const address of [...lan, ...local, ...link]) expect(dialable(address, publicClient), address).to.deep.equal([])
    for (const address of [...local, ...link]) expect(dialable(address, lanClient), address).to.deep.equal([])
    for (const address of lan) expect(dialable(address, lanClient), address).to.have.length(1)
    for (const address of [...lan, ...local, ...link]) expect(dialable(address, localClient), address).to.have.length(1)
    // an address of a client that cannot be placed counts as public
    for (const client of ['/dns4/x/tcp/1', '/ip4/0.0.0.0/tcp/1', '/ip6/::ffff:8.8.4.4/tcp/5000']) expect(dialable(local[0], client), client).to.deep.equal([])
  })

  it('knows a client of its own machine on a socket for both families', () => {
    expect(dialable('/ip4/127.0.0.1/tcp/4001', '/ip6/::ffff:127.0.0.1/tcp/5000')).to.have.length(1)
  })

  it('never dials what is no address of a machine, nor a port of a system service', () => {
    for (const address of ['/ip4/0.0.0.0/tcp/4001', '/ip4/224.0.0.1/tcp/4001', '/ip4/255.255.255.255/tcp/4001', '/ip6/::/tcp/4001', '/ip6/ff02::1/tcp/4001', '/ip6/::ffff:127.0.0.1/tcp/4001', '/ip6/::ffff:7f00:1/tcp/4001', '/ip6/0:0:0:0:0:ffff:7f00:1/tcp/4001', '/ip6/64:ff9b::7f00:1/tcp/4001', '/ip4/9.9.9.9/tcp/25', '/ip4/127.0.0.1/tcp/1023', '/ip4/127.0.0.1/tcp/0']) {
      expect(dialable(address, localClient), address).to.deep.equal([])
    }
    expect(dialable('/ip4/127.0.0.1/tcp/1024', localClient)).to.have.length(1)
  })

  it('tries at most four', () => {
    expect(dialableAddresses(Array.from({ length: 8 }, (_value, index) => `/ip4/9.9.9.${index}/tcp/4001`), peer, publicClient)).to.have.length(4)
  })

  it('grants each client its budget a minute', () => {
    const budget = createDialBudget(2)
    const granted = (client: string, now: number): boolean => budget.take(client, now) !== undefined
    expect([0, 1, 2, 59_999].map(now => granted('a', now))).to.deep.equal([true, true, false, false])
    expect(granted('b', 3)).to.equal(true)
    expect(granted('a', 60_000)).to.equal(true)
  })

  it('grants more connections that come about', () => {
    const budget = createDialBudget(2)
    let connections = 0
    for (let turn = 0; turn < 20; turn++) {
      const cameAbout = budget.take('a', turn)
      if (cameAbout === undefined) continue
      cameAbout()
      connections++
    }
    expect(connections).to.equal(5)
  })
})
