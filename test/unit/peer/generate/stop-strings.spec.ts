import { expect } from 'chai'
import fc from 'fast-check'
import { createStopStringFinder } from '../../../../src/peer/generate/stop-strings.ts'

function run (pieces: string[], stopStrings: string[]): { text: string, stopString?: string } {
  const finder = createStopStringFinder(stopStrings)
  let text = ''
  for (const piece of pieces) {
    const result = finder.push(piece)
    text += result.text
    if (result.stopString !== undefined) return { text, stopString: result.stopString }
  }
  return { text: text + finder.flush() }
}

describe('stop strings', function () {
  it('never gives text that could begin a stop string', function () {
    const finder = createStopStringFinder(['</end>'])
    expect(finder.push('a <')).to.deep.equal({ text: 'a ' })
    expect(finder.push('/en')).to.deep.equal({ text: '' })
    expect(finder.push('d')).to.deep.equal({ text: '' })
    expect(finder.push('x<')).to.deep.equal({ text: '</endx' })
    expect(finder.push('/end> more')).to.deep.equal({ text: '', stopString: '</end>' })
  })

  it('gives back what was held at the end', function () {
    expect(run(['ab', 'c'], ['cd'])).to.deep.equal({ text: 'abc' })
  })

  it('finds the one that ends first, and the longest of those', function () {
    expect(run(['xaby'], ['xaby', 'ab'])).to.deep.equal({ text: 'x', stopString: 'ab' })
    expect(run(['xab'], ['ab', 'xab', 'b'])).to.deep.equal({ text: '', stopString: 'xab' })
  })

  it('does not depend on how the text is cut', function () {
    const letters = (options: fc.ArrayConstraints): fc.Arbitrary<string> =>
      fc.array(fc.constantFrom('a', 'b', 'c'), options).map(array => array.join(''))
    let found = 0
    fc.assert(fc.property(fc.array(letters({ maxLength: 5 }), { maxLength: 10 }), fc.array(letters({ minLength: 1, maxLength: 5 }), { maxLength: 3 }),
      (pieces, stopStrings) => {
        const text = pieces.join('')
        const whole = run([text], stopStrings)
        if (whole.stopString !== undefined) found++
        expect(run(pieces, stopStrings)).to.deep.equal(whole)
        expect(run([...text], stopStrings)).to.deep.equal(whole)
        expect(stopStrings.some(stopString => whole.text.includes(stopString))).to.equal(false)
        expect(text.startsWith(whole.text + (whole.stopString ?? ''))).to.equal(true)
      }), { numRuns: 2000, seed: 5 })
    expect(found).to.be.above(200)
  })
})
