import { expect } from 'chai'
import { Command } from 'commander'
import { addRouteOptions, addSamplingOptions, deadlines, generationOptions } from '../../../src/cli/options.ts'
import type { RouteOptions, SamplingFlags } from '../../../src/cli/options.ts'

function parse (...argv: string[]): SamplingFlags & RouteOptions {
  const command = addRouteOptions(addSamplingOptions(new Command()))
    .exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} })
  return command.parse(argv, { from: 'user' }).opts()
}

describe('cli/options', () => {
  for (const argv of [
    ['--temperature', '-1'], ['--temperature', '101'], ['--top-k', '-1'], ['--top-k', '1.5'], ['--top-p', '1.1'], ['--min-p', '2'],
    ['--repetition-penalty', '0'], ['--presence-penalty', '101'], ['--frequency-penalty', 'x'], ['--seed', '-1'], ['--seed', '1e3'],
    ['--stop', ''], ['--max-tokens', '0'], ['--logprobs', '1025'], ['--threads', '0'], ['--deadline', 'soon'], ['--deadline', '0'], ['--wait', 'never']
  ]) {
    it(`refuses ${argv.join(' ')}`, () => {
      expect(() => parse(...argv)).to.throw().with.property('code', 'commander.invalidArgument')
    })
  }

  it('hands every sampling option to the library', () => {
    const flags = parse(
      '--temperature', '0.7', '--top-k', '40', '--top-p', '0.9', '--min-p', '0.05', '--repetition-penalty', '1.1', '--presence-penalty', '0.2',
      '--frequency-penalty', '-0.3', '--seed', '42', '--stop', 'a, b', '--stop', '\n', '--max-tokens', '12', '--logprobs', '3')
    expect(generationOptions(flags, [2])).to.deep.equal({
      temperature: 0.7,
      topK: 40,
      topP: 0.9,
      minP: 0.05,
      repetitionPenalty: 1.1,
      presencePenalty: 0.2,
      frequencyPenalty: -0.3,
      seed: 42,
      stopStrings: ['a, b', '\n'],
      maximumTokens: 12,
      logProbabilities: 3,
      stopTokenIds: [2]
    })
  })

  it('leaves to the library what is not said, but for the length', () => {
    const said = Object.entries(generationOptions(parse(), [])).filter(([, value]) => value !== undefined)
    expect(said).to.deep.equal([['maximumTokens', 256], ['stopTokenIds', []]])
  })

  it('joins addresses that are repeated or have commas between', () => {
    expect(parse('-j', 'a,b', '--join', 'c').join).to.deep.equal(['a', 'b', 'c'])
  })

  it('makes one deadline bound every wait', () => {
    expect(deadlines({})).to.deep.equal({})
    expect(deadlines(parse('--deadline', '2s'))).to.deep.equal({ info: 2000, open: 2000, step: 2000 })
    expect(deadlines(parse('--wait', '0'))).to.deep.equal({ repair: 0 })
  })
})
