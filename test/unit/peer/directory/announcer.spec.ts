import { defaultLogger } from '@libp2p/logger'
import { expect } from 'chai'
import { createAnnouncer } from '../../../../src/peer/directory/announcer.ts'
import type { OwnState } from '../../../../src/peer/directory/announcer.ts'
import { createIntake } from '../../../../src/peer/directory/intake.ts'
import { createRecordStore } from '../../../../src/peer/directory/record-store.ts'
import { decodeRecord, decodeSealed } from '../../../../src/peer/directory/record.ts'
import { sealRecord } from '../../../../src/peer/directory/seal.ts'
import type { PeerRecord, Verdict } from '../../../../src/peer/directory/types.ts'
import { announcement, fakeClock, identity, MODEL, OTHER_MODEL, recordOf } from '../../../support/records.ts'

const log = defaultLogger().forComponent('test')
const settled = async (): Promise<void> => await new Promise(resolve => setImmediate(resolve))

describe('directory: announcer', function () {
  async function announcer () {
    const { key, peerId } = await identity(1)
    const clock = fakeClock()
    const sent: PeerRecord[] = []
    const state: { now: OwnState | undefined, fails: boolean } = {
      now: { modelId: MODEL, ranges: [{ range: { from: 0, to: 4 }, state: 'serving' }], sessions: 0, queuedSteps: 0, freePositions: 5, speed: 0 }, fails: false
    }
    const made = createAnnouncer({
      self: peerId,
      key,
      clock,
      log,
      state: () => state.now,
      addresses: () => ['/ip4/1.2.3.4/tcp/4001'],
      publish: async (_modelId, bytes) => {
        sent.push(decodeRecord(decodeSealed(bytes).body))
        if (state.fails) throw new Error('nobody there')
      }
    })
    const pass = async (milliseconds: number): Promise<void> => {
      clock.pass(milliseconds)
      await settled()
    }
    return { made, clock, sent, state, pass, peerId }
  }

  it('says nothing while there is nothing to say, and no goodbye then', async function () {
    const { made, sent, state, pass } = await announcer()
    state.now = undefined
    made.start()
    await pass(20_000)
    await made.stop()
    expect(sent).to.deep.equal([])
    expect(made.last).to.equal(undefined)
  })

  it('goes on after a failure', async function () {
    const { made, sent, state, pass } = await announcer()
    state.fails = true
    made.start()
    await pass(0)
    state.fails = false
    await pass(5000)
    expect(sent).to.have.length(2)
  })

  it('announces at once, every five seconds, and goodbye', async function () {
    const { made, clock, sent, pass, peerId } = await announcer()
    made.start()
    await pass(0)
    expect(sent[0]).to.deep.equal({
      peerId, modelId: MODEL, addresses: [`/ip4/1.2.3.4/tcp/4001/p2p/${peerId}`], ranges: [{ range: { from: 0, to: 4 }, state: 'serving' }], sessions: 0, queuedSteps: 0, freePositions: 5, speed: 0, sequence: clock.wall()
    })
    await pass(4999)
    expect(sent).to.have.length(1)
    expect(made.last?.age).to.equal(4999)
    await pass(1)
    expect(sent).to.have.length(2)
    await made.stop()
    expect(sent[2]).to.deep.include({ ranges: [], freePositions: 0 })
    expect(sent[2].sequence).to.be.above(sent[1].sequence)
    await pass(60_000)
    await made.stop()
    expect(sent).to.have.length(3)
  })

  it('announces changes soon, several of them together', async function () {
    const { made, sent, state, pass } = await announcer()
    made.start()
    await pass(0)
    for (let turn = 0; turn < 5; turn++) made.soon()
    await pass(499)
    expect(sent).to.have.length(1)
    await pass(1)
    expect(sent).to.have.length(2)
    // the regular one counts from there
    await pass(4999)
    expect(sent).to.have.length(2)
    await pass(1)
    expect(sent).to.have.length(3)
    await pass(2000)
    made.compare()
    state.now!.sessions = 7
    made.compare()
    await pass(0)
    expect(sent, 'load can wait').to.have.length(3)
    state.now!.claim = { range: { from: 4, to: 6 }, id: 'x' }
    made.compare()
    await pass(0)
    expect(sent.at(-1)).to.deep.include({ claim: { range: { from: 4, to: 6 }, id: 'x' }, sessions: 7 })
  })

  it('never uses a number twice, whatever its clock does', async function () {
    const { made, clock, sent, pass } = await announcer()
    made.start()
    await pass(0)
    clock.setWall(1_699_999_950_000)
    await pass(5000)
    await pass(5000)
    clock.setWall(1_800_000_000_000)
    await pass(5000)
    const numbers = sent.map(({ sequence }) => sequence)
    expect(numbers).to.deep.equal([1_700_000_000_000, 1_700_000_000_001, 1_700_000_000_002, 1_800_000_005_000])
  })

  it('gives up the numbers of a clock that was far ahead for a moment: nobody has taken them', async function () {
    const { made, clock, sent, pass } = await announcer()
    made.start()
    await pass(0)
    clock.setWall(1_700_003_600_000)
    await pass(5000)
    clock.setWall(1_700_000_010_000)
    await pass(5000)
    await pass(5000)
    expect(sent.map(({ sequence }) => sequence)).to.deep.equal([1_700_000_000_000, 1_700_003_605_000, 1_700_000_015_000, 1_700_000_020_000])
    // others drop the one in between, and take those before and after it
    const store = createRecordStore()
    const verdicts = sent.map((record, index) => store.accept(record, new Uint8Array(1), { wall: 1_700_000_000_000 + 5000 * index, steady: 5000 * index }))
    expect(verdicts).to.deep.equal(['accepted', 'clock', 'accepted', 'accepted'])
  })

  it('after a restart with a clock set back, is believed again as soon as its clock has passed where it was', async function () {
    const { made, clock, sent, pass } = await announcer()
    made.start()
    await pass(0)
    const store = createRecordStore()
    expect(store.accept(sent[0], new Uint8Array(1), { wall: sent[0].sequence, steady: 0 })).to.equal('accepted')
    // killed; the new one begins 20 s later, and its clock 30 s before that: nobody has its old record any more
    const again = await announcer()
    again.clock.setWall(clock.wall() + 20_000 - 30_000)
    again.made.start()
    const verdicts: Verdict[] = []
    for (let second = 20; verdicts.at(-1) !== 'accepted'; second += 5) {
      await again.pass(second === 20 ? 0 : 5000)
      verdicts.push(store.accept(again.sent.at(-1)!, new Uint8Array(1), { wall: sent[0].sequence + 1000 * second, steady: 1000 * second }))
    }
    expect(verdicts).to.deep.equal(['stale', 'stale', 'stale', 'accepted'])
    await again.made.stop()
  })

  it('goes on above numbers it used before it started', async function () {
    const { made, clock, sent, pass } = await announcer()
    made.start()
    await pass(0)
    made.skip(sent[0].sequence)
    await pass(1000)
    expect(sent).to.have.length(1)
    const before = clock.wall() + 20_000
    made.skip(before)
    await pass(0)
    expect(sent[1].sequence).to.equal(before + 1)
  })
})

describe('directory: intake', function () {
  async function intake () {
    const clock = fakeClock(1_700_000_000_000)
    const store = createRecordStore()
    const accepted: PeerRecord[] = []
    const own: PeerRecord[] = []
    const verdicts: Verdict[] = []
    const self = await identity(9)
    const take = createIntake({
      store, self: self.peerId, ownSequence: () => 1_700_000_000_000, clock, onAccepted: record => accepted.push(record), onOwn: record => own.push(record), onVerdict: verdict => verdicts.push(verdict)
    })
    return { take, clock, store, accepted, own, verdicts, self }
  }

  it('drops what is malformed, forged, of another model, far from the clock, and replayed', async function () {
    const { take, clock, accepted, verdicts } = await intake()
    const { bytes, record } = await announcement(1)
    const { key } = await identity(2)
    expect(await take(new Uint8Array(0), MODEL)).to.equal('malformed')
    expect(await take(bytes.subarray(0, 100), MODEL)).to.equal('malformed')
    expect(await take(new Uint8Array(5000), MODEL)).to.equal('malformed')
    expect(await take(await sealRecord(record, key), MODEL)).to.equal('forged')
    expect(await take(bytes, OTHER_MODEL)).to.equal('model')
    expect(await take((await announcement(1, { sequence: clock.wall() - 60_000 })).bytes, MODEL)).to.equal('clock')
    expect(await take((await announcement(1, { sequence: clock.wall() + 60_000 })).bytes, MODEL)).to.equal('clock')
    expect(await take(bytes, MODEL, 15_000)).to.equal('stale')
    expect(accepted).to.deep.equal([])
    // a forged one does not use up the number of the true one
    expect(await take(bytes, MODEL)).to.equal('accepted')
    expect(await take(bytes, MODEL)).to.equal('stale')
    expect(accepted).to.deep.equal([record])
    expect(verdicts).to.have.length(10)
  })

  it('leaves out addresses at which nobody is to be made to knock', async function () {
    const { take, accepted } = await intake()
    const { peerId } = await identity(1)
    const end = `/p2p/${peerId}`
    const addresses = ['/ip4/1.2.3.4/tcp/22', '/ip4/1.2.3.4/tcp/4001', '/dns4/example.org/tcp/80', '/ip4/1.2.3.4/udp/4001/quic-v1', '/ip4/5.6.7.8/tcp/4001/p2p/12D3KooWRelay/p2p-circuit', 'nonsense'].map(address => address + end)
    expect(await take((await announcement(1, { addresses })).bytes, MODEL)).to.equal('accepted')
    expect(accepted[0].addresses).to.deep.equal([addresses[1], addresses[4]])
  })

  it('does not check the signature of what it drops anyway', async function () {
    const { take } = await intake()
    const { record, bytes } = await announcement(1)
    await take(bytes, MODEL)
    const { key } = await identity(2)
    // it would be forged, were it looked at
    expect(await take(await sealRecord(record, key), MODEL)).to.equal('stale')
  })

  it('is not flooded by announcements in the name of another', async function () {
    const { take } = await intake()
    const { key } = await identity(2)
    const victim = await identity(1)
    for (let turn = 0; turn < 50; turn++) expect(await take(await sealRecord(recordOf(victim.peerId, { sequence: 1_700_000_000_000 + turn }), key), MODEL)).to.equal('forged')
    expect(await take((await announcement(1)).bytes, MODEL)).to.equal('accepted')
  })

  it('hears of its own numbers of an earlier life, and of nothing else about itself', async function () {
    const { take, own, store, self } = await intake()
    const { key } = await identity(2)
    expect(await take((await announcement(9)).bytes, MODEL)).to.equal('stale')
    expect(await take(await sealRecord(recordOf(self.peerId, { sequence: 1_700_000_000_005 }), key), MODEL)).to.equal('forged')
    expect(own).to.deep.equal([])
    expect(await take((await announcement(9, { sequence: 1_700_000_000_005 })).bytes, MODEL)).to.equal('stale')
    expect(own.map(({ sequence }) => sequence)).to.deep.equal([1_700_000_000_005])
    expect(store.size).to.equal(0)
  })
})
