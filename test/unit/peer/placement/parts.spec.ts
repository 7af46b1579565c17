import { expect } from 'chai'
import { chooseSources } from '../../../../src/peer/index.ts'
import { FAILED_MILLISECONDS, HOLDERS_PER_UNIT, MEASURED_MILLISECONDS, OTHER_SOURCES } from '../../../../src/peer/placement/constants.ts'
import { createRoom } from '../../../../src/peer/placement/room.ts'
import { soundRecords } from '../../../../src/peer/placement/sound-records.ts'
import { createSpeeds } from '../../../../src/peer/placement/speeds.ts'
import { cutBefore, unservedUnits } from '../../../../src/peer/placement/unserved.ts'
import { evenCosts, range, roomFor } from '../../../support/placement.ts'
import { recordOf } from '../../../support/records.ts'

const serving = (from: number, to: number) => ({ range: range(from, to), state: 'serving' as const })

describe('peer/placement: parts', () => {
  it('records that speak of units that the model does not have are cut down', () => {
    const records = soundRecords([
      recordOf('a', { ranges: [serving(0, 7), serving(2, 2), serving(1, 6)], claim: { range: range(0, 9), id: 'x' } }),
      recordOf('b', { claim: { range: range(0, 6), id: 'x' } })
    ], 6)
    expect(records[0]).to.deep.equal({ peerId: 'a', speed: 1.5e9, ranges: [serving(1, 6)], claim: undefined })
    expect(records[1].claim?.range).to.deep.equal(range(0, 6))
  })

  it('measurements are forgotten, failures sooner', () => {
    const speeds = createSpeeds()
    speeds.set('a', 5, 1000)
    speeds.set('b', 0, 1000)
    expect([...speeds.at(999 + FAILED_MILLISECONDS)]).to.deep.equal([['a', 5], ['b', 0]])
    expect([...speeds.at(1000 + FAILED_MILLISECONDS)]).to.deep.equal([['a', 5]])
    expect([...speeds.at(1000 + MEASURED_MILLISECONDS)]).to.deep.equal([])
  })

  it('room beside a range is what it leaves', () => {
    const room = createRoom(evenCosts(6), roomFor(4))
    expect(room.capacity[1]).to.deep.equal(range(1, 5))
    expect(room.beside([range(0, 3)])![1]).to.deep.equal(range(1, 2))
    expect(room.beside([])![1]).to.deep.equal(range(1, 5))
    expect(room.beside([range(0, 4)])).to.equal(undefined)
    expect(room.beside([range(0, 3), range(3, 6)])).to.equal(undefined)
  })

  it('units are served by others or here, by whoever says that it serves', () => {
    const one = { peerId: 'a', speed: 1, ranges: [serving(0, 3), { range: range(3, 5), state: 'draining' as const }] }
    expect(unservedUnits([], [], 3)).to.deep.equal([0, 1, 2])
    expect(unservedUnits([one], [{ range: range(4, 6), state: 'serving' }], 6)).to.deep.equal([3])
    expect(unservedUnits([one], [{ range: range(3, 6), state: 'stored' }], 6)).to.deep.equal([3, 4, 5])
    expect(unservedUnits([one], [{ range: range(3, 6), state: 'serving' }], 6)).to.deep.equal([])
  })

  it('what cannot be had is cut off', () => {
    expect(cutBefore([range(0, 3), range(1, 4), range(2, 4), range(3, 3)], new Set([2]))).to.deep.equal([range(0, 2), range(1, 2), range(2, 2), range(3, 3)])
  })

  describe('sources', () => {
    const address = (peerId: string): string => `/ip4/192.168.1.7/tcp/4001/p2p/${peerId}`
    const holders = Array.from({ length: 10 }, (_value, index) => recordOf(`holder ${index}`, { ranges: [serving(2, 6)] }))
    const others = Array.from({ length: 40 }, (_value, index) => recordOf(`other ${index}`, { ranges: [serving(6, 8)] }))

    it('are nobody where there is nobody, or nobody can be reached', () => {
      expect(chooseSources([], range(0, 2))).to.deep.equal([])
      expect(chooseSources([recordOf('a', { addresses: [], ranges: [serving(0, 2)] })], range(0, 2))).to.deep.equal([])
    })

    it('are some of those who serve the units, and nobody else', () => {
      const chosen = chooseSources([...others, ...holders], range(3, 5))
      expect(chosen).to.have.length(HOLDERS_PER_UNIT)
      expect(chosen.every(source => source.includes('holder'))).to.equal(true)
    })

    it('are others too where nobody serves a unit', () => {
      const chosen = chooseSources([...others, ...holders], range(1, 3))
      expect(chosen).to.have.length(HOLDERS_PER_UNIT + OTHER_SOURCES)
      expect(chosen.slice(0, HOLDERS_PER_UNIT).every(source => source.includes('holder'))).to.equal(true)
    })

    it('are every holder where units have different ones, but none that is only joining', () => {
      const records = [recordOf('a', { ranges: [serving(0, 1)] }), recordOf('b', { ranges: [serving(1, 2)] }), recordOf('c', { ranges: [{ range: range(0, 2), state: 'joining' }] })]
      expect(chooseSources(records, range(0, 2)).sort()).to.deep.equal([address('a'), address('b')])
    })
  })
})
