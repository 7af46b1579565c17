import { expect } from 'chai'
import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { decodeAnswer, decodeRequest, DIAL_OUTCOMES, encodeAnswer, encodeRequest } from '../../../../src/peer/directory/codec.ts'
import type { DirectoryAnswer, DirectoryRequest } from '../../../../src/peer/directory/codec.ts'
import { MAXIMUM_REQUEST_BYTES } from '../../../../src/peer/directory/constants.ts'
import { FrameError } from '../../../../src/peer/errors.ts'
import { createMutator } from '../../../support/mutations.ts'
import { MODEL } from '../../../support/records.ts'

const golden = JSON.parse(readFileSync(new URL('../../../fixtures/protocol/directory.json', import.meta.url), 'utf8')) as Record<string, string>
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const requests: Record<string, DirectoryRequest> = {
  'request, records': { kind: 'records', modelId: MODEL },
  'request, dial back': { kind: 'dialBack', ports: [4001, 65535] },
  'request, exchange': { kind: 'exchange', modelId: MODEL, announcement: Uint8Array.of(1, 2, 3) },
  'request, exchange without an announcement': { kind: 'exchange', modelId: MODEL, announcement: new Uint8Array(0) }
}
const answers: Record<string, DirectoryAnswer> = {
  'answer, records': { kind: 'records', clock: 1_700_000_000_123, records: [{ age: 14_999, bytes: Uint8Array.of(1, 2, 3) }, { age: 0, bytes: new Uint8Array(0) }] },
  'answer, dial back': { kind: 'dialBack', clock: 1, observed: '/ip4/203.0.113.5/tcp/51234', outcomes: ['reached', 'notTried'] },
  'answer, exchange': { kind: 'exchange', clock: 1_700_000_000_123, announcement: Uint8Array.of(4, 5) },
  'answer, busy': { kind: 'busy' }
}

describe('directory: codec', function () {
  const bad: Array<[string, () => unknown, string]> = [
    ['an empty request', () => decodeRequest(new Uint8Array(0)), 'format'],
    ['a request that is too long', () => decodeRequest(new Uint8Array(MAXIMUM_REQUEST_BYTES + 1)), 'request'],
    ['another format', () => decodeRequest(Uint8Array.of(2, 1)), 'format'],
    ['an unknown request', () => decodeRequest(Uint8Array.of(1, 4)), 'kind'],
    ['a request with a tail', () => decodeRequest(Buffer.concat([encodeRequest(requests['request, records']), Buffer.of(0)])), 'request'],
    ['an exchange of an announcement beyond its cap', () => decodeRequest(Buffer.concat([encodeRequest(requests['request, exchange without an announcement']).subarray(0, -2), Buffer.of(1, 8)])), 'announcement'],
    ['five ports', () => decodeRequest(Uint8Array.of(1, 2, 5)), 'ports'],
    ['five ports to be written', () => encodeRequest({ kind: 'dialBack', ports: [1, 2, 3, 4, 5] }), 'ports'],
    ['an answer that is a request', () => decodeAnswer(Uint8Array.of(1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)), 'kind'],
    ['an unknown status', () => decodeAnswer(Uint8Array.of(1, 0x81, 2)), 'status'],
    ['more records than there may be', () => decodeAnswer(Uint8Array.of(1, 0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 8)), 'records'],
    ['an announcement beyond its cap', () => decodeAnswer(Uint8Array.of(1, 0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 8)), 'announcement'],
    ['an unknown outcome', () => decodeAnswer(Uint8Array.of(1, 0x82, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 4)), 'outcome'],
    ['an answer with a tail', () => decodeAnswer(Buffer.concat([encodeAnswer(answers['answer, busy']), Buffer.of(0)])), 'answer']
  ]
  for (const [what, act, field] of bad) {
    it(`refuses ${what}`, function () {
      expect(act).to.throw(FrameError).with.property('field', field)
    })
  }

  it('ends in nothing but an error of its own, whatever comes', function () {
    for (const [seed, answer] of Object.values(answers).entries()) {
      const mutate = createMutator(Buffer.concat([encodeAnswer(answer), new Uint8Array(16)]), 64, seed)
      for (let turn = 0; turn < 3000; turn++) {
        for (const decode of [decodeAnswer, decodeRequest]) {
          try {
            decode(mutate())
          } catch (error) {
            if (!(error instanceof FrameError)) throw error
          }
        }
      }
    }
  })

  it('has golden bytes', function () {
    for (const [name, request] of Object.entries(requests)) {
      expect(hex(encodeRequest(request)), name).to.equal(golden[name])
      expect(decodeRequest(encodeRequest(request))).to.deep.equal(request)
    }
    for (const [name, answer] of Object.entries(answers)) {
      expect(hex(encodeAnswer(answer)), name).to.equal(golden[name])
      expect(decodeAnswer(encodeAnswer(answer))).to.deep.equal(answer)
    }
  })

  it('gives back what was put in', function () {
    const given = fc.record({ age: fc.integer({ min: 0, max: 0xffffffff }), bytes: fc.uint8Array({ maxLength: 60 }) })
    const answer: fc.Arbitrary<DirectoryAnswer> = fc.oneof(
      fc.record({ kind: fc.constant('records' as const), clock: fc.maxSafeNat(), records: fc.array(given) }),
      fc.record({ kind: fc.constant('exchange' as const), clock: fc.maxSafeNat(), announcement: fc.uint8Array({ maxLength: 60 }) }),
      fc.record({ kind: fc.constant('dialBack' as const), clock: fc.maxSafeNat(), observed: fc.string({ maxLength: 50 }), outcomes: fc.array(fc.constantFrom(...DIAL_OUTCOMES), { maxLength: 4 }) })
    )
    fc.assert(fc.property(answer, answer => { expect(decodeAnswer(encodeAnswer(answer))).to.deep.equal(answer) }), { seed: 1 })
  })
})
