import { expect } from 'chai'
import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { decodeRecord, decodeSealed, encodeRecord, encodeSealed } from '../../../../src/peer/directory/record.ts'
import { sealRecord, verifyRecord } from '../../../../src/peer/directory/seal.ts'
import type { PeerRecord } from '../../../../src/peer/directory/types.ts'
import { FrameError } from '../../../../src/peer/errors.ts'
import { createMutator } from '../../../support/mutations.ts'
import { announcement, identity, MODEL, recordOf } from '../../../support/records.ts'

const golden = JSON.parse(readFileSync(new URL('../../../fixtures/protocol/directory.json', import.meta.url), 'utf8')) as Record<string, string>
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const range = fc.tuple(fc.integer({ min: 0, max: 600 }), fc.integer({ min: 1, max: 600 })).map(([from, length]) => ({ from, to: from + length }))
const count = fc.integer({ min: 0, max: 0xffffffff })
const PEER = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'

const records: fc.Arbitrary<PeerRecord> = fc.record({
  addresses: fc.array(fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 65535 })).map(([host, port]) => `/ip4/${host}/tcp/${port}/p2p/${PEER}`), { maxLength: 8 }),
  ranges: fc.array(fc.record({ range, state: fc.constantFrom('joining' as const, 'serving' as const, 'draining' as const) }), { maxLength: 4 }),
  claim: fc.option(fc.record({ range, id: fc.string({ maxLength: 16 }) }), { nil: undefined }),
  sessions: count,
  queuedSteps: count,
  freePositions: count,
  speed: fc.double({ min: 0, max: 1e30, noNaN: true }).map(speed => speed + 0),
  sequence: fc.maxSafeNat()
}).map(({ claim, ...rest }) => ({ peerId: PEER, modelId: MODEL, ...rest, ...claim === undefined ? {} : { claim } }))

describe('directory: record', function () {
  const body = (): Buffer => Buffer.from(encodeRecord(recordOf(PEER, { claim: { range: { from: 4, to: 6 }, id: 'mine' } })))

  const bad: Array<[string, (bytes: Buffer) => Uint8Array, string]> = [
    ['nothing', () => new Uint8Array(0), 'domain'],
    ['another domain', bytes => { bytes[23] = 0x32; return bytes }, 'domain'],
    ['a length beyond its cap', bytes => { bytes.writeUInt16LE(129, 24); return bytes }, 'peer'],
    ['a sequence number above 2^53', bytes => { bytes.fill(0xff, 110, 118); return bytes }, 'sequence'],
    ['nine addresses', bytes => { bytes[118] = 9; return bytes }, 'addresses'],
    ['an address that is too long', bytes => { bytes.writeUInt16LE(257, 119); return bytes }, 'address'],
    ['an end in the middle', bytes => bytes.subarray(0, bytes.length - 1), 'speed'],
    ['something after its end', bytes => Buffer.concat([bytes, Buffer.of(0)]), 'record'],
    ['a speed that is no number', bytes => { bytes.writeDoubleLE(NaN, bytes.length - 8); return bytes }, 'speed'],
    ['an endless speed', bytes => { bytes.writeDoubleLE(Infinity, bytes.length - 8); return bytes }, 'speed'],
    ['a negative speed', bytes => { bytes.writeDoubleLE(-1, bytes.length - 8); return bytes }, 'speed'],
    ['a second way to write 0', bytes => { bytes.writeDoubleLE(-0, bytes.length - 8); return bytes }, 'speed']
  ]
  for (const [what, change, field] of bad) {
    it(`refuses ${what}`, function () {
      expect(() => decodeRecord(change(body()))).to.throw(FrameError).with.property('field', field)
    })
  }

  it('refuses to write what others would refuse', function () {
    const ranges = Array.from({ length: 5 }, () => ({ range: { from: 0, to: 1 }, state: 'serving' as const }))
    expect(() => encodeRecord(recordOf(PEER, { ranges }))).to.throw(FrameError, 'ranges')
    expect(() => encodeRecord(recordOf(PEER, { speed: NaN }))).to.throw(FrameError, 'speed')
    expect(() => encodeRecord(recordOf(PEER, { sequence: 1.5 }))).to.throw(FrameError, 'sequence')
    expect(() => encodeRecord(recordOf(PEER, { modelId: 'model' }))).to.throw(FrameError, 'modelId')
    expect(() => encodeRecord(recordOf(PEER, { claim: { range: { from: 0, to: 1 }, id: 'x'.repeat(65) } }))).to.throw(FrameError, 'claim')
    expect(() => decodeSealed(new Uint8Array(2049))).to.throw(FrameError, 'announcement')
    expect(() => encodeSealed({ body: new Uint8Array(2048), signature: new Uint8Array(64) })).to.throw(FrameError, 'announcement')
  })

  it('ends in nothing but an error of its own, whatever comes', async function () {
    const mutate = createMutator((await announcement(1)).bytes, 2048, 5)
    for (let turn = 0; turn < 20_000; turn++) {
      const bytes = mutate()
      try {
        const sealed = decodeSealed(bytes)
        // whatever can be read has no second form
        expect(hex(encodeRecord(decodeRecord(sealed.body)))).to.equal(hex(sealed.body))
      } catch (error) {
        if (!(error instanceof FrameError)) throw error
      }
    }
  })

  it('is not signed by whom it does not name', async function () {
    const { key, peerId } = await identity(1)
    const other = await identity(2)
    const sealed = decodeSealed(await sealRecord(recordOf(peerId), key))
    expect(await verifyRecord(sealed, peerId)).to.equal(true)
    expect(await verifyRecord(sealed, other.peerId)).to.equal(false)
    expect(await verifyRecord(decodeSealed(await sealRecord(recordOf(peerId), other.key)), peerId)).to.equal(false)
    expect(await verifyRecord({ ...sealed, signature: new Uint8Array(64) }, peerId)).to.equal(false)
    expect(await verifyRecord({ ...sealed, signature: new Uint8Array(3) }, peerId)).to.equal(false)
    for (const nobody of ['', 'nobody', 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG', `${peerId} `]) expect(await verifyRecord(sealed, nobody), nobody).to.equal(false)
    for (let at = 0; at < sealed.body.length; at += 7) {
      const changed = Uint8Array.from(sealed.body)
      changed[at] ^= 1
      expect(await verifyRecord({ ...sealed, body: changed }, peerId)).to.equal(false)
    }
  })

  it('has golden bytes', async function () {
    const { key, peerId } = await identity(1)
    const examples: Record<string, PeerRecord> = {
      announcement: recordOf(peerId),
      'announcement, moving': recordOf(peerId, {
        addresses: [`/ip6/2001:db8::1/tcp/4001/p2p/${peerId}`, `/ip4/203.0.113.5/tcp/4001/p2p/${PEER}/p2p-circuit/p2p/${peerId}`],
        ranges: [{ range: { from: 0, to: 4 }, state: 'draining' }, { range: { from: 2, to: 6 }, state: 'joining' }],
        claim: { range: { from: 2, to: 6 }, id: 'claim-7' }
      }),
      'announcement, goodbye': recordOf(peerId, { addresses: [], ranges: [], sessions: 0, queuedSteps: 0, freePositions: 0, speed: 0, sequence: 2 ** 53 - 1 })
    }
    for (const [name, record] of Object.entries(examples)) {
      const bytes = await sealRecord(record, key)
      expect(hex(bytes), name).to.equal(golden[name])
      expect(decodeRecord(decodeSealed(bytes).body)).to.deep.equal(record)
    }
  })

  it('gives back what was put in', function () {
    fc.assert(fc.property(records, record => { expect(decodeRecord(encodeRecord(record))).to.deep.equal(record) }), { seed: 1 })
  })

  it('leaves out addresses for which there is no room, and always fits', async function () {
    const { key, peerId } = await identity(1)
    const addresses = [`/dns4/${'x'.repeat(300)}/tcp/1/p2p/${peerId}`, ...Array.from({ length: 20 }, (_value, index) => `/dns4/${'x'.repeat(230)}/tcp/${index}/p2p/${peerId}`)]
    const bytes = await sealRecord(recordOf(peerId, { addresses }), key)
    expect(bytes.length).to.be.at.most(2048)
    const kept = decodeRecord(decodeSealed(bytes).body).addresses
    expect(kept.length).to.be.within(4, 8)
    expect(kept[0]).to.equal(addresses[1])
  })
})
