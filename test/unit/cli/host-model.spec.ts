import { expect } from 'chai'
import { UsageError } from '../../../src/cli/errors.ts'
import { parseModelRequest } from '../../../src/cli/host-model.ts'

const id = '0123456789abcdef'.repeat(4)

describe('model of a peer', function () {
  it('is not both named and fetched', function () {
    for (const model of ['sotu-4m', './model.gguf', id.slice(1), id.toUpperCase()]) {
      expect(() => parseModelRequest({ model, from: ['/ip4/1.2.3.4/tcp/1'] })).to.throw(UsageError, 'is none')
    }
  })

  it('is a name, an id, an invite, or whatever others host', function () {
    expect(parseModelRequest({ model: 'sotu-4m' })).to.deep.equal({ from: [] })
    expect(parseModelRequest({ model: `hf:some/${id}` })).to.deep.equal({ from: [] })
    expect(parseModelRequest({})).to.deep.equal({ from: [] })
    expect(parseModelRequest({ from: ['a'] })).to.deep.equal({ from: ['a'] })
    expect(parseModelRequest({ model: id })).to.deep.equal({ modelId: id, from: [] })
    expect(parseModelRequest({ model: `${id}@/ip4/1.2.3.4/tcp/1/p2p/X, /ip4/1.2.3.5/tcp/1`, from: ['a'] })).to.deep.equal({ modelId: id, from: ['a', '/ip4/1.2.3.4/tcp/1/p2p/X', '/ip4/1.2.3.5/tcp/1'] })
  })
})
