import { expect } from 'chai'
import fc from 'fast-check'
import { chooseClosed } from '../../../../src/peer/directory/choose-closed.ts'
import type { HeldConnection } from '../../../../src/peer/directory/choose-closed.ts'
import { hostOf } from '../../../../src/peer/directory/host-of.ts'
import { createPendingConnections } from '../../../../src/peer/directory/pending-connections.ts'

describe('directory: who has to go when it is crowded', function () {
  it('takes a machine for one, however many addresses of a network it has', function () {
    expect(hostOf('/ip4/1.2.3.4/tcp/4001')).to.equal('1.2.3.4')
    expect(hostOf('/ip6/::ffff:1.2.3.4/tcp/4001')).to.equal('1.2.3.4')
    expect(hostOf('/ip6/2001:db8:0:1::7/tcp/1')).to.equal('2001:db8:0:1')
    expect(hostOf('/ip6/2001:0DB8:0:1:ffff:1:2:3/tcp/1')).to.equal('2001:db8:0:1')
    expect(hostOf('/ip6/2001:db8::7/tcp/1')).to.equal('2001:db8:0:0')
    expect(hostOf('/ip6/::1/tcp/1')).to.equal('0:0:0:0')
    expect(hostOf('/ip4/9.9.9.9/tcp/1/p2p/R/p2p-circuit/p2p/X')).to.equal('9.9.9.9')
    expect(hostOf('/memory')).to.equal('/memory')
  })

  describe('connections that have not said who they are', function () {
    function pending (host: string) {
      const listeners: Array<() => void> = []
      const state = { aborted: false }
      return {
        remoteAddr: { toString: () => `/ip4/${host}/tcp/${1000 + Math.floor(Math.random() * 60_000)}` },
        addEventListener: (_type: 'close', listener: () => void) => { listeners.push(listener) },
        abort: () => {
          state.aborted = true
          for (const listener of listeners) listener()
        },
        close: () => { for (const listener of listeners) listener() },
        state
      }
    }

    it('give way: the oldest of the host that has most', function () {
      const connections = createPendingConnections(4)
      const flood = ['a', 'a', 'a'].map(pending)
      const other = pending('b')
      for (const connection of [other, ...flood]) connections.add(connection)
      expect(connections.size).to.equal(4)
      // from the same host, and from another one
      const honest = pending('a')
      connections.add(honest)
      expect(flood.map(({ state }) => state.aborted)).to.deep.equal([true, false, false])
      const late = pending('c')
      connections.add(late)
      expect(flood.map(({ state }) => state.aborted)).to.deep.equal([true, true, false])
      expect([other, honest, late].map(({ state }) => state.aborted)).to.deep.equal([false, false, false])
    })

    it('are forgotten once they have, or are gone', function () {
      const connections = createPendingConnections(2)
      const [one, two] = ['a', 'a'].map(pending)
      connections.add(one)
      connections.add(two)
      connections.remove(one)
      connections.remove(one)
      two.close()
      expect(connections.size).to.equal(0)
    })
  })

  describe('connections', function () {
    const connection = (host: string, opened: number, changes: Partial<HeldConnection> = {}): HeldConnection => ({ host, opened, inbound: true, inUse: false, known: false, ...changes })

    it('of the host with most give way, the oldest first, those of neighbours last', function () {
      const flood = [connection('a', 1, { known: true }), connection('a', 3), connection('a', 2), connection('a', 0, { inUse: true })]
      const honest = [connection('b', 0), connection('b', 0, { known: true })]
      expect(chooseClosed([...honest, ...flood], 1)).to.deep.equal([flood[2]])
      expect(chooseClosed([...honest, ...flood], 2)).to.deep.equal([flood[2], flood[1]])
    })

    it('that were opened from here, and those with sessions, stay in any case', function () {
      const kept = [connection('a', 0, { inbound: false }), connection('a', 1, { inUse: true })]
      expect(chooseClosed(kept, 2)).to.deep.equal([])
      expect(chooseClosed([...kept, connection('b', 5)], 3)).to.deep.equal([connection('b', 5)])
    })

    it('never cost a host its place while another one has more', function () {
      const hosts = fc.array(fc.record({ host: fc.constantFrom('a', 'b', 'c'), opened: fc.nat(50), inbound: fc.boolean(), inUse: fc.boolean(), known: fc.boolean() }), { maxLength: 40 })
      fc.assert(fc.property(hosts, fc.nat(40), (connections, excess) => {
        const closed = chooseClosed(connections, excess)
        const free = connections.filter(({ inbound, inUse }) => inbound && !inUse)
        expect(closed.length).to.equal(Math.min(excess, free.length))
        expect(new Set(closed).size).to.equal(closed.length)
        for (const one of closed) expect(free).to.include(one)
        const left = (host: string) => connections.filter(one => one.host === host && one.inbound && !closed.includes(one))
        // whoever lost one has not fewer left than others that could still give one, but for the one just lost
        for (const { host } of closed) {
          for (const other of ['a', 'b', 'c']) if (left(other).some(({ inUse }) => !inUse)) expect(left(host).length + 1).to.be.at.least(left(other).length)
        }
      }), { seed: 5, numRuns: 500 })
    })
  })
})
