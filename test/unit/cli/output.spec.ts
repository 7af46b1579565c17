import { expect } from 'chai'
import fc from 'fast-check'
import { once } from 'node:events'
import { percentile } from '../../../src/cli/benchmark.ts'
import { InterruptedError } from '../../../src/cli/errors.ts'
import { bytes, milliseconds, routeLines, timingsLine } from '../../../src/cli/format.ts'
import { interruptCode, serviceCode } from '../../../src/cli/interrupt.ts'
import { createProgress, wantsProgress } from '../../../src/cli/progress.ts'
import { describeError, reportError } from '../../../src/cli/report-error.ts'
import { createTerminal } from './fake-terminal.ts'

describe('cli/report-error', () => {
  it('takes control characters and line breaks out of what others wrote', () => {
    expect(describeError(new Error('a\n  b\u001b[2Jc\u0007')).message).to.equal('a b[2Jc')
  })

  it('never throws, whatever was thrown', () => {
    fc.assert(fc.property(fc.anything(), thrown => {
      expect(describeError(thrown).exitCode).to.be.oneOf([1, 2, 130])
    }))
    expect(describeError(undefined)).to.include({ message: 'undefined', code: undefined })
  })

  it('knows usage, interruption and failure', () => {
    expect(describeError(Object.assign(new Error('x'), { code: 'ERR_INVALID_OPTION' })).exitCode).to.equal(2)
    expect(describeError(new InterruptedError('SIGINT')).exitCode).to.equal(130)
    expect(describeError(Object.assign(new Error('x'), { code: 'ENOENT' }))).to.include({ exitCode: 1, hint: undefined })
    expect(describeError(new TypeError('x is not a function'))).to.include({ exitCode: 1 }).and.property('hint').match(/bug/)
  })

  it('colours on a terminal, unless NO_COLOR is set', () => {
    for (const [init, coloured] of [[{ isTTY: true }, true], [{ isTTY: true, env: { NO_COLOR: '1' } }, false], [{}, false]] as const) {
      const terminal = createTerminal(init)
      reportError(terminal, new Error('x'))
      expect(terminal.errors()).to.match(/x/)
      expect(terminal.errors().includes('\u001b[')).to.equal(coloured)
    }
  })
})

describe('cli/interrupt', () => {
  const code = (signal: NodeJS.Signals, of: typeof interruptCode): number => of(AbortSignal.abort(new InterruptedError(signal)))

  it('gives the exit codes of shells, and 0 to a service that is told to end', () => {
    expect(interruptCode(new AbortController().signal)).to.equal(0)
    expect(code('SIGINT', interruptCode)).to.equal(130)
    expect(code('SIGTERM', interruptCode)).to.equal(143)
    expect(code('SIGINT', serviceCode)).to.equal(130)
    expect(code('SIGTERM', serviceCode)).to.equal(0)
  })
})

describe('cli/progress', () => {
  it('is off where nobody watches', () => {
    expect(wantsProgress(createTerminal({ isTTY: true }), {})).to.equal(true)
    expect(wantsProgress(createTerminal(), {})).to.equal(false)
    expect(wantsProgress(createTerminal({ isTTY: true }), { json: true })).to.equal(false)
    expect(wantsProgress(createTerminal({ isTTY: true }), { progress: false })).to.equal(false)
    expect(wantsProgress(createTerminal({ isTTY: true, env: { CI: 'true' } }), {})).to.equal(false)
    expect(wantsProgress(createTerminal({ isTTY: true, env: { TERM: 'dumb' } }), {})).to.equal(false)
  })

  it('shows a bar once the work has taken a second, and takes it away', async () => {
    const terminal = createTerminal({ isTTY: true })
    let time = 0
    const progress = createProgress(terminal, {}, () => time)
    progress.update('loading', 1, 4)
    time = 900
    progress.update('loading', 2, 4)
    expect(terminal.errors()).to.equal('')
    time = 1100
    const shown = once(terminal.stderr, 'data')
    progress.update('loading', 3, 4)
    await shown
    progress.stop()
    expect(terminal.errors()).to.match(/loading .*75 %/)
    // a new label starts a new second
    const before = terminal.errors()
    progress.update('hashing', 1, 4)
    progress.stop()
    expect(terminal.errors()).to.equal(before)
  })
})

describe('cli/format', () => {
  it('writes sizes and times', () => {
    expect([0, 999, 1000, 8_075_408, 98_362_432, 5e13].map(bytes)).to.deep.equal(['0 B', '999 B', '1.0 kB', '8.1 MB', '98 MB', '50 TB'])
    expect([0.26, 12.4, 999.4, 1234, 45_600, 125_400].map(milliseconds)).to.deep.equal(['0.3 ms', '12 ms', '999 ms', '1.23 s', '45.6 s', '2 min 5 s'])
  })

  it('writes a route', () => {
    expect(routeLines([
      { stage: 1, range: { from: 0, to: 1 }, local: true },
      { stage: 2, range: { from: 1, to: 10 }, local: false, peerId: '12D3KooWabcdefgh', addresses: ['/ip4/10.0.0.1/tcp/4001/p2p/12D3KooWabcdefgh'] }
    ], 8)).to.deep.equal([
      '  stage 1  embed             here',
      '  stage 2  layers 0:8, head  peer …abcdefgh  /ip4/10.0.0.1/tcp/4001'
    ])
  })

  it('writes the timings of a text that has no tokens', () => {
    expect(timingsLine({
      text: '',
      tokenIds: [],
      promptTokens: 3,
      reusedTokens: 1,
      stopReason: 'aborted',
      sessionIds: [],
      extraRequests: 0,
      timings: { promptMilliseconds: 0, firstTokenMilliseconds: 0, decodeMilliseconds: 0, promptTokensPerSecond: 0, tokensPerSecond: 0 }
    })).to.equal('0 tokens in 0.0 ms · prompt 2 tokens (1 kept) · interrupted')
  })
})

describe('cli/benchmark', () => {
  it('takes percentiles by nearest rank', () => {
    expect(percentile([3, 1, 2], 50)).to.equal(2)
    expect(percentile([5], 99)).to.equal(5)
    expect(percentile(Array.from({ length: 100 }, (_, index) => index + 1), 90)).to.equal(90)
    expect(percentile(Array.from({ length: 100 }, (_, index) => index + 1), 99)).to.equal(99)
  })
})
