import { expect } from 'chai'
import fc from 'fast-check'
import { decodeInvite, encodeInvite, isInvite } from '../../../../src/peer/directory/invite.ts'
import type { Invite } from '../../../../src/peer/directory/invite.ts'
import { MODEL } from '../../../support/records.ts'

const PEER = '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5'
const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
const invite: Invite = { modelId: MODEL, addresses: [`/ip4/192.168.1.7/tcp/4001/p2p/${PEER}`], networkKey: Uint8Array.from({ length: 32 }, (_value, index) => index) }

const invites: fc.Arbitrary<Invite> = fc.record({
  modelId: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(bytes => Buffer.from(bytes).toString('hex')),
  addresses: fc.array(fc.oneof(
    fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 65535 })).map(([host, port]) => `/ip4/${host}/tcp/${port}/p2p/${PEER}`),
    fc.integer({ min: 1, max: 65535 }).map(port => `/dns4/peer.example.org/tcp/${port}`),
    fc.integer({ min: 1, max: 65535 }).map(port => `/ip4/1.2.3.4/tcp/${port}/p2p/${PEER}/p2p-circuit/p2p/${PEER}`)
  ), { minLength: 1, maxLength: 8 }),
  networkKey: fc.option(fc.uint8Array({ minLength: 32, maxLength: 32 }), { nil: undefined })
}).map(({ networkKey, ...rest }) => networkKey === undefined ? rest : { ...rest, networkKey })

describe('directory: invite', function () {
  const text = encodeInvite(invite)

  const bad: Array<[string, string, RegExp]> = [
    ['something else', '/ip4/1.2.3.4/tcp/1', /begins with efedllm1/],
    ['another version', `efedllm2${text.slice(8)}`, /version 2, this software knows version 1/],
    ['a part of one', text.slice(0, -5), /copy it again/],
    ['the beginning alone', 'efedllm1', /copy it again/],
    ['a character that looks like another', `${text.slice(0, 20)}0${text.slice(21)}`, /no invite has/],
    ['a book', `efedllm1${'2'.repeat(5000)}`, /too long/]
  ]
  for (const [what, string, message] of bad) {
    it(`is not ${what}`, function () {
      expect(() => decodeInvite(string)).to.throw(message).with.property('name', 'InvalidInviteError')
    })
  }

  it('is not made of what cannot be put in', function () {
    expect(() => encodeInvite({ ...invite, addresses: [] })).to.throw('0 addresses')
    expect(() => encodeInvite({ ...invite, addresses: Array.from({ length: 9 }, () => invite.addresses[0]) })).to.throw('9 addresses')
    expect(() => encodeInvite({ ...invite, addresses: ['nonsense'] })).to.throw('nonsense is no multiaddr')
    expect(() => encodeInvite({ ...invite, networkKey: new Uint8Array(31) })).to.throw('31 bytes')
    expect(() => encodeInvite({ ...invite, modelId: 'x' })).to.throw('modelId')
  })

  it('shows any wrong character, and never itself', function () {
    fc.assert(fc.property(invites, fc.nat(), fc.nat(), (invite, place, other) => {
      const text = encodeInvite(invite)
      const at = 8 + place % (text.length - 8)
      const wrong = BASE58[other % 58]
      fc.pre(wrong !== text[at])
      let message = ''
      try {
        decodeInvite(text.slice(0, at) + wrong + text.slice(at + 1))
      } catch (error) {
        expect((error as Error).name).to.equal('InvalidInviteError')
        message = (error as Error).message
      }
      expect(message).to.match(/copy it again/)
      expect(message).not.to.contain(text.slice(8, 20))
    }), { seed: 1 })
  })

  it('shows characters that have changed places, and ones left out', function () {
    for (let at = 8; at < text.length; at++) {
      expect(() => decodeInvite(text.slice(0, at) + text.slice(at + 1))).to.throw()
      const swapped = text.slice(0, at) + (text[at + 1] ?? '') + text[at] + text.slice(at + 2)
      if (swapped !== text) expect(() => decodeInvite(swapped)).to.throw()
    }
  })

  it('gives back what was put in', function () {
    fc.assert(fc.property(invites, invite => {
      const text = encodeInvite(invite)
      expect(text).to.match(/^efedllm1[1-9A-HJ-NP-Za-km-z]+$/)
      expect(isInvite(text)).to.equal(true)
      expect(decodeInvite(text)).to.deep.equal(invite)
    }), { seed: 1 })
  })

  it('stays what it is', function () {
    expect(text).to.equal('efedllm1ERy1ZwWTzX7NwetmXgHHRCKRzhaH7SEqbwx1cDUCGxBVvRpmbHdFCMEZv6bZvfiGdAe9K2mCLfn7nxGqHt3p1ZjUstGEkCgXCmx1rMuzUyLH6pg6vmvohn6WZJAXRnd5Jct1RKE7Z73w7LyYYhKT2BtTf1WhjTTvoBR')
    expect(isInvite(invite.addresses[0])).to.equal(false)
    expect(isInvite(MODEL)).to.equal(false)
  })
})
