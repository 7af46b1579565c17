import { expect } from 'chai'
import { conversationIds, pastTurn } from '../../../src/cli/chat-history.ts'
import type { Tokenizer } from '../../../src/model/index.ts'

/** An id for each character, and 1000 for the pair `ab`, which encoding prefers. */
const tokenizer = {
  encode: (text: string) => [...text.matchAll(/ab|[^]/g)].map(([piece]) => piece === 'ab' ? 1000 : piece.charCodeAt(0)),
  decode: (ids: number[]) => ids.map(id => id === 1000 ? 'ab' : id === 0 ? '' : String.fromCharCode(id)).join('')
} as unknown as Tokenizer

const [a, b] = ['a', 'b'].map(character => character.charCodeAt(0))

describe('cli/chat-history', () => {
  it('keeps ids of an answer that encoding would cut otherwise', () => {
    const past = pastTurn(tokenizer, 'Q:', tokenizer.encode('Q:'), { text: 'ab', tokenIds: [a, b, 0], stopReason: 'stop-token' })
    expect(conversationIds(tokenizer, 'Q:ab.ab', past)).to.deep.equal([...tokenizer.encode('Q:'), a, b, '.'.charCodeAt(0), 1000])
    expect(conversationIds(tokenizer, 'Q:ab.ab', undefined)).to.deep.equal(tokenizer.encode('Q:ab.ab'))
  })

  it('encodes anew where the template has changed the past', () => {
    const past = pastTurn(tokenizer, 'Q:', tokenizer.encode('Q:'), { text: ' ab', tokenIds: [32, a, b, 0], stopReason: 'stop-token' })
    expect(past).to.not.equal(undefined)
    expect(conversationIds(tokenizer, 'Q:ab.', past)).to.deep.equal(tokenizer.encode('Q:ab.'))
  })

  it('encodes anew where ids and text are not the same', () => {
    expect(pastTurn(tokenizer, 'Q:', [], { text: 'a', tokenIds: [a, b], stopReason: 'stop-string' })).to.equal(undefined)
  })

  it('keeps answers that were cut', () => {
    expect(pastTurn(tokenizer, 'Q:', [], { text: 'ab', tokenIds: [a, b], stopReason: 'length' })).to.deep.include({ answerIds: [a, b] })
  })
})
