import { expect } from 'chai'
import fc from 'fast-check'
import { describeUnits, parseLayers, parseUnitList, parseUnits, splitLayers } from '../../../src/cli/units.ts'

describe('cli/units', () => {
  describe('parseLayers', () => {
    for (const text of ['', ':', '1', '1:', ':3', '-1:3', '1:2:3', '3:3', '4:2', '0:9', 'a:b', '0x0:3', '1.0:3', '0 3', '0:9999999']) {
      it(`refuses ${JSON.stringify(text)} of 8 layers`, () => {
        expect(() => parseLayers(text, 8)).to.throw().with.property('name', 'UsageError')
      })
    }

    it('takes the embedding along with the first layer and the head with the last', () => {
      expect(parseLayers('0:4', 8)).to.deep.equal({ from: 0, to: 5 })
      expect(parseLayers('4:8', 8)).to.deep.equal({ from: 5, to: 10 })
      expect(parseLayers('2:4', 8)).to.deep.equal({ from: 3, to: 5 })
      expect(parseLayers('0:8', 8)).to.deep.equal({ from: 0, to: 10 })
    })
  })

  describe('parseUnitList', () => {
    for (const text of ['', 'embed,', 'layer 8', 'layer', '0:11', '3:3', 'tail', 'embed head']) {
      it(`refuses ${JSON.stringify(text)} of 8 layers`, () => {
        expect(() => parseUnitList(text, 8, '--local')).to.throw(/--local/).with.property('name', 'UsageError')
      })
    }

    it('sorts and merges', () => {
      expect(parseUnitList('head, embed', 8, '--local')).to.deep.equal([{ from: 0, to: 1 }, { from: 9, to: 10 }])
      expect(parseUnitList('layer 1,0:2,layer1', 8, '--local')).to.deep.equal([{ from: 0, to: 3 }])
      expect(parseUnitList('all', 8, '--local')).to.deep.equal([{ from: 0, to: 10 }])
    })

    it('takes one run only where a peer hosts it', () => {
      expect(() => parseUnits('embed,head', 8)).to.throw(/contiguous/).with.property('name', 'UsageError')
      expect(parseUnits('embed,layer 0', 8)).to.deep.equal({ from: 0, to: 2 })
      expect(parseUnits('head', 8)).to.deep.equal({ from: 9, to: 10 })
    })
  })

  describe('splitLayers', () => {
    it('refuses more peers than layers', () => {
      expect(() => splitLayers(8, 9)).to.throw(/at most 8/).with.property('name', 'UsageError')
    })

    it('covers every unit once, as evenly as it goes', () => {
      fc.assert(fc.property(fc.integer({ min: 1, max: 130 }), fc.integer({ min: 1, max: 130 }), (layers, peers) => {
        fc.pre(peers <= layers)
        const ranges = splitLayers(layers, peers).map(text => parseLayers(text, layers))
        expect(ranges).to.have.length(peers)
        expect(ranges[0].from).to.equal(0)
        expect(ranges.at(-1)?.to).to.equal(layers + 2)
        ranges.slice(1).forEach((range, index) => expect(range.from).to.equal(ranges[index].to))
        const sizes = splitLayers(layers, peers).map(text => text.split(':').map(Number)).map(([from, to]) => to - from)
        expect(Math.max(...sizes) - Math.min(...sizes)).to.be.at.most(1)
      }))
    })
  })

  it('describes what it parses', () => {
    expect(describeUnits({ from: 0, to: 10 }, 8)).to.equal('embed, layers 0:8, head')
    expect(describeUnits({ from: 0, to: 1 }, 8)).to.equal('embed')
    expect(describeUnits({ from: 9, to: 10 }, 8)).to.equal('head')
    expect(describeUnits({ from: 3, to: 4 }, 8)).to.equal('layer 2')
    expect(describeUnits({ from: 8, to: 10 }, 8)).to.equal('layer 7, head')
  })
})
