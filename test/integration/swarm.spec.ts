import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { sharedPath } from '../support/shared-data.ts'
import { expectAsDocumented } from '../unit/cli/documented.ts'
import { killAll, promptJson, run, runJson, start, startSwarm, stop } from './cli-process.ts'
import { untilNobodyListens } from './wait.ts'
import type { PromptJson, StatusJson } from '../../src/cli/json.ts'

/** Log-probabilities are binary64 numbers made of logits and their sum: other bits of these are other numbers. */
const exact = ['--logprobs', '5']
const prompt = 'Fellow-Citizens of the Senate and House of Representatives:'

describe('swarm of processes', function () {
  this.timeout(120_000)
  afterEach(killAll)

  describe('gives the tokens of one engine', () => {
    let greedy: PromptJson
    let sampled: PromptJson
    const sampling = ['--temperature', '0.9', '--top-p', '0.95', '--repetition-penalty', '1.1', '--seed', '7']

    before(async () => {
      greedy = await promptJson('prompt', prompt, '--local', 'all', '--max-tokens', '64', ...exact)
      sampled = await promptJson('prompt', prompt, '--local', 'all', '--max-tokens', '40', ...sampling)
    })

    it('which says something, and something else where it draws', () => {
      expect(greedy.tokenIds).to.have.length(64)
      expect(greedy.text.length).to.be.above(100)
      expect(sampled.tokenIds).to.not.deep.equal(greedy.tokenIds.slice(0, 40))
    })

    // 8 layers: the last is one layer a peer
    for (const peers of [1, 2, 4, 8]) {
      it(`from ${peers} ${peers === 1 ? 'peer' : 'peers'}`, async () => {
        const swarm = await startSwarm('--peers', String(peers))
        const { join } = swarm.ready
        expectAsDocumented(swarm.ready, 'swarm')
        expect(swarm.ready.peers).to.have.length(peers)
        const answer = await promptJson('prompt', prompt, '--join', join, '--max-tokens', '64', ...exact)
        expect(answer.tokenIds).to.deep.equal(greedy.tokenIds)
        expect(answer.logProbabilities).to.deep.equal(greedy.logProbabilities)
        expect(answer.text).to.equal(greedy.text)
        expect(answer.route.map(({ peerId }) => peerId)).to.deep.equal(swarm.ready.peers.map(({ peerId }) => peerId))
        const [first, second] = await Promise.all([
          promptJson('prompt', prompt, '--join', join, '--max-tokens', '40', ...sampling),
          promptJson('prompt', prompt, '--join', join, '--max-tokens', '64')
        ])
        expect(first.tokenIds).to.deep.equal(sampled.tokenIds)
        expect(first.seed).to.equal(7)
        expect(second.tokenIds).to.deep.equal(greedy.tokenIds)
        expect((await stop(swarm))?.code).to.equal(130)
      })
    }

    it('of peers that know each other, so that one address is enough', async () => {
      const { ready } = await startSwarm('--peers', '3')
      const address = ready.peers[2].addresses[0]
      // announcements are on their way
      while (JSON.parse((await run(['status', '--join', address, '--json'])).stdout).peers.length < 3);
      const status = await runJson<StatusJson>(['status', '--join', address])
      expect(status.peers.map(({ peerId }) => peerId)).to.have.members(ready.peers.map(({ peerId }) => peerId))
      expect((await promptJson('prompt', prompt, '--join', address, '--max-tokens', '64', ...exact)).tokenIds).to.deep.equal(greedy.tokenIds)
    })

    it('in one command, with chunks of a long prompt in flight', async () => {
      const text = readFileSync(new URL('../../models/sotu-4m/heldout.txt', import.meta.url), 'utf8').slice(0, 3000)
      const [one, four] = await Promise.all([
        runJson<PromptJson>(['prompt', '--local', 'all', '--max-tokens', '16'], { input: text }),
        runJson<PromptJson>(['swarm', '--peers', '4', '--file', '-', '--max-tokens', '16'], { input: text })
      ])
      expect(four.promptTokens).to.be.above(512)
      expect(four.route).to.have.length(4)
      expect(four.tokenIds).to.deep.equal(one.tokenIds)
    })
  })

  describe('gives the tokens of one engine on SmolLM2', function () {
    this.timeout(600_000)
    const model = sharedPath('models', 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf') ?? ''
    const args = ['--model', model, '--max-tokens', '32', ...exact]
    let alone: PromptJson

    before(async function () {
      if (model === '') this.skip() // the model is not in the repository: see test/support/shared-data.ts
      alone = await promptJson('prompt', 'The theory of relativity was developed by', '--local', 'all', ...args)
      expect(alone.text).to.match(/^ Albert Einstein/)
    })

    // 30 layers: the last is one layer a peer
    for (const peers of [1, 2, 4, 30]) {
      it(`from ${peers} ${peers === 1 ? 'peer' : 'peers'}`, async () => {
        const answer = await promptJson('swarm', '--peers', String(peers), '--prompt', 'The theory of relativity was developed by', ...args)
        expect(answer.route).to.have.length(peers)
        expect(answer.tokenIds).to.deep.equal(alone.tokenIds)
        expect(answer.logProbabilities).to.deep.equal(alone.logProbabilities)
      })
    }
  })

  it('prints the text alone on stdout, and the route and timings on stderr', async () => {
    const { code, stdout, stderr } = await run(['swarm', '--peers', '2', '--prompt', prompt, '--max-tokens', '8'])
    const { text } = await promptJson('prompt', prompt, '--local', 'all', '--max-tokens', '8')
    expect(code).to.equal(0)
    expect(stdout).to.equal(`${text}\n`)
    expect(stderr).to.match(/stage 1 +embed, layers 0:4 +peer …\w{8} +\/ip4\/127\.0\.0\.1\/tcp\/\d+/)
    expect(stderr).to.match(/stage 2 +layers 4:8, head/)
    expect(stderr).to.match(/8 tokens in .*tokens\/s/)
  })

  it('ends all peers on Ctrl-C in mid-text, with exit code 130', async () => {
    const swarm = start(['swarm', '--peers', '2', '--prompt', prompt, '--max-tokens', '1900'])
    await swarm.until('stdout', /\w{3,} \w/)
    const address = /\/ip4\S+/.exec(await swarm.until('stderr', /stage 2 .*\n/))?.[0] ?? ''
    swarm.child.kill('SIGINT')
    const { code, stderr } = await swarm.ended
    expect(code).to.equal(130)
    expect(stderr).to.match(/interrupted/).and.not.match(/^\s+at /m)
    await untilNobodyListens(address)
  })

  it('ends at once on the second Ctrl-C', async () => {
    const swarm = await startSwarm('--peers', '2')
    // frozen, so that it cannot end in order
    process.kill(swarm.ready.peers[0].pid, 'SIGSTOP')
    swarm.child.kill('SIGINT')
    await swarm.until('stderr', /once more/)
    swarm.child.kill('SIGINT')
    expect((await swarm.ended).code).to.equal(130)
    for (const { addresses } of swarm.ready.peers) await untilNobodyListens(addresses[0])
  })

  it('leaves no peer behind when it is killed', async () => {
    const swarm = await startSwarm('--peers', '2')
    swarm.child.kill('SIGKILL')
    await swarm.ended
    for (const { addresses } of swarm.ready.peers) await untilNobodyListens(addresses[0])
  })

  it('stays up without one peer, and ends with the last', async () => {
    const swarm = await startSwarm('--peers', '2')
    process.kill(swarm.ready.peers[1].pid, 'SIGKILL')
    expect(await swarm.until('stderr', /peer 2 of 2.*\n/)).to.match(/ended by SIGKILL/)
    process.kill(swarm.ready.peers[0].pid, 'SIGKILL')
    const { code, stderr } = await swarm.ended
    expect(code).to.equal(1)
    expect(stderr).to.match(/all 2 peers have ended/)
  })
})
