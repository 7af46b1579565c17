import { expect } from 'chai'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createEngine } from '../../src/engine/index.ts'
import { openModel } from '../../src/model/index.ts'
import { connectRoute, createPeerNode } from '../../src/peer/index.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { expectAsDocumented } from '../unit/cli/documented.ts'
import { killAll, promptJson, run, runJson, start, startPeer, startSwarm, stop } from './cli-process.ts'
import type { PromptJson } from '../../src/cli/json.ts'

const prompt = 'Fellow-Citizens of the Senate and House of Representatives:'
const model = fileURLToPath(new URL('../../models/sotu-4m', import.meta.url))
/** More than a test lets a text grow to before something happens to it. */
const endless = ['--max-tokens', '1900']
const somePeerId = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'

describe('command line, as processes', function () {
  this.timeout(120_000)
  const folder = temporaryFolder()
  afterEach(killAll)

  describe('what goes wrong', () => {
    it('names stage and peer within 5 s when one of four is killed in mid-text, and nobody is to be waited for', async () => {
      const swarm = await startSwarm('--peers', '4')
      const client = start(['prompt', prompt, '--join', swarm.ready.join, '--wait', '0', ...endless])
      await client.until('stdout', /\w{3,} \w/)
      const { pid, peerId } = swarm.ready.peers[2]
      process.kill(pid, 'SIGKILL')
      const killed = performance.now()
      const { code, stderr } = await client.ended
      // the bar itself, not a timing of this machine
      expect(performance.now() - killed).to.be.below(5000)
      expect(code).to.equal(1)
      expect(stderr).to.match(/^efedllm: .*stage 3/m).and.include(peerId)
      expect(stderr).to.not.match(/^\s+at /m)
      await stop(swarm)
    })

    it('names stage and peer when a peer freezes', async () => {
      const swarm = await startSwarm('--peers', '2')
      const client = start(['prompt', prompt, '--join', swarm.ready.join, '--deadline', '2s', '--wait', '0', ...endless])
      await client.until('stdout', /\w{3,} \w/)
      const { pid, peerId } = swarm.ready.peers[1]
      process.kill(pid, 'SIGSTOP')
      const { code, stderr } = await client.ended
      // frozen, it would outlive the swarm
      process.kill(pid, 'SIGKILL')
      expect(code).to.equal(1)
      expect(stderr).to.match(/^efedllm: .*stage 2/m).and.include(peerId)
    })

    it('names the units that nobody hosts', async () => {
      const [first, last] = await Promise.all([startPeer('--layers', '0:4'), startPeer('--layers', '5:8')])
      const { code, stderr } = await run(['prompt', prompt, '--join', `${first.address},${last.address}`])
      expect(code).to.equal(1)
      expect(stderr).to.match(/^efedllm: no peer hosts layer 4$/m)
    })

    it('refuses peers of another model', async () => {
      const other = folder.path('other-model')
      cpSync(model, other, { recursive: true })
      const config = JSON.parse(readFileSync(`${other}/config.json`, 'utf8'))
      config.rope_parameters.rope_theta = 20_000
      writeFileSync(`${other}/config.json`, JSON.stringify(config))
      const peer = await startPeer()
      const { code, stderr } = await run(['prompt', prompt, '--model', other, '--join', peer.address])
      expect(code).to.equal(1)
      expect(stderr).to.match(/^efedllm: .*hosts model .*not /m).and.include(peer.ready.peerId)
    })

    it('says that nobody is at an address', async () => {
      const { code, stderr } = await run(['prompt', prompt, '--join', `/ip4/127.0.0.1/tcp/1/p2p/${somePeerId}`])
      expect(code).to.equal(1)
      expect(stderr).to.match(/^efedllm: .*cannot be reached/m).and.include(somePeerId)
    })

    it('says that somebody else is at an address', async () => {
      const peer = await startPeer()
      const { code, stderr } = await run(['prompt', prompt, '--join', peer.address.replace(peer.ready.peerId, somePeerId)])
      expect(code).to.equal(1)
      expect(stderr).to.match(/^efedllm: .*cannot be reached/m)
    })

    it('refuses what is no address', async () => {
      const { code, stderr } = await run(['prompt', prompt, '--join', '192.168.1.7:4001'])
      expect(code).to.equal(2)
      expect(stderr).to.match(/^efedllm: .*192\.168\.1\.7:4001/m)
    })

    it('refuses a prompt that fills the context', async () => {
      const { code, stderr } = await run(['prompt', '--local', 'all'], { input: 'the Union '.repeat(2100) })
      expect(code).to.equal(1)
      expect(stderr).to.match(/^efedllm: the prompt has \d+ tokens/m)
    })

    it('refuses a second peer with the same key', async () => {
      const args = ['peer', '--layers', '0:1', '--listen', '/ip4/127.0.0.1/tcp/0', '--json']
      const env = { EFEDLLM_DATA_DIR: folder.path('twice') }
      const first = start(args, { env })
      await first.until('stdout', /\n/)
      const { code, stderr } = await run(args, { env })
      expect(code).to.equal(1)
      expect(stderr).to.match(/in use by another peer/).and.include(String(first.pid))
    })
  })

  describe('peer', () => {
    it('keeps its identity in the data directory, and takes the lock over from a peer that was killed', async () => {
      const env = { EFEDLLM_DATA_DIR: folder.path('kept') }
      const args = ['peer', '--layers', '0:1', '--listen', '/ip4/127.0.0.1/tcp/0', '--json']
      const ids: string[] = []
      for (const signal of ['SIGKILL', 'SIGINT', 'SIGINT'] as const) {
        const peer = start(args, { env })
        ids.push(JSON.parse(await peer.until('stdout', /^.*\n/)).peerId)
        peer.child.kill(signal)
        await peer.ended
      }
      expect(new Set(ids)).to.have.property('size', 1)
    })

    it('ends in order on SIGINT and SIGTERM, with what it says on stderr', async () => {
      for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 0]] as const) {
        const peer = start(['peer', '--ephemeral', '--listen', '/ip4/127.0.0.1/tcp/0'])
        await peer.until('stderr', /--join \/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/12D3KooW\w+\n/)
        peer.child.kill(signal)
        const ended = await peer.ended
        expect(ended).to.include({ code, signal: null, stdout: '' })
        expect(ended.stderr).to.match(/hosts embed, layers 0:8, head/)
      }
    })

    it('takes with --layers auto all that it has room for', async () => {
      const first = await startPeer('--layers', '0:3')
      const second = await startPeer('--join', first.address)
      expectAsDocumented(second.ready, 'peer')
      expect(second.ready).to.include({ units: 'embed, layers 0:8, head' })
      const { tokenIds } = await promptJson('prompt', prompt, '--join', `${first.address},${second.address}`, '--max-tokens', '4')
      expect(tokenIds).to.have.length(4)
    })
  })

  describe('prompt', () => {
    it('hosts units of its own, before and after the peers', async () => {
      const peer = await startPeer('--units', '1:9')
      const [whole, shared] = await Promise.all([
        promptJson('prompt', prompt, '--local', 'all', '--max-tokens', '24'),
        promptJson('prompt', prompt, '--local', 'embed,head', '--join', peer.address, '--max-tokens', '24')
      ])
      expect(shared.tokenIds).to.deep.equal(whole.tokenIds)
      expect(shared.route.map(({ local, units }) => [local, units])).to.deep.equal([[true, 'embed'], [false, 'layers 0:8'], [true, 'head']])
    })

    it('reads the prompt from an argument, a file and stdin alike, and the peers from a variable', async () => {
      const peer = await startPeer()
      writeFileSync(folder.path('prompt.txt'), prompt)
      const env = { EFEDLLM_JOIN: peer.address }
      const args = ['--max-tokens', '6']
      const answers = await Promise.all([
        runJson<PromptJson>(['prompt', prompt, ...args], { env }),
        runJson<PromptJson>(['prompt', '--file', folder.path('prompt.txt'), ...args], { env }),
        runJson<PromptJson>(['prompt', ...args], { env, input: prompt })
      ])
      expect(answers[1].tokenIds).to.deep.equal(answers[0].tokenIds)
      expect(answers[2].tokenIds).to.deep.equal(answers[0].tokenIds)
    })

    it('closes its session on Ctrl-C, so that the peer can serve the next', async () => {
      const peer = start(['peer', '--ephemeral', '--listen', '/ip4/127.0.0.1/tcp/0'])
      const address = (await peer.until('stderr', /\/ip4\S+/))
      const client = start(['prompt', prompt, '--join', address, ...endless])
      await client.until('stdout', /\w{3,} \w/)
      client.child.kill('SIGINT')
      const { code, stderr } = await client.ended
      expect(code).to.equal(130)
      expect(stderr).to.match(/tokens in .* interrupted/)
      await peer.until('stderr', /closed a session.*\(0 sessions\)/)
    })

    it('ends quietly when nobody reads its output any more', async () => {
      const client = start(['prompt', prompt, '--local', 'all', ...endless])
      await client.until('stdout', /\w{3,} \w/)
      client.child.stdout.destroy()
      const { code, stderr } = await client.ended
      expect(code).to.equal(0)
      expect(stderr).to.not.match(/EPIPE|^\s+at /m)
    })
  })

  describe('chat', () => {
    it('refuses a model without a chat template', async () => {
      const { code, stderr } = await run(['chat', '--local', 'all'])
      expect(code).to.equal(1)
      expect(stderr).to.match(/^efedllm: this model has no chat template/m)
    })

    /** The model, with a chat template. */
    function chattyModel (): string {
      const chatty = folder.path('chatty')
      cpSync(model, chatty, { recursive: true })
      const settings = JSON.parse(readFileSync(`${chatty}/tokenizer_config.json`, 'utf8'))
      settings.chat_template = '{% for message in messages %}{{ message.role }}:{{ message.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}'
      writeFileSync(`${chatty}/tokenizer_config.json`, JSON.stringify(settings))
      return chatty
    }

    it('goes on when its peer has given the memory of the idle conversation to others', async () => {
      const chatty = chattyModel()
      const questions = ['What is the state of the Union?\n', 'And of the Treasury?\n/exit\n']
      const undisturbed = await run(['chat', '--model', chatty, '--local', 'all', '--max-tokens', '8'], { input: questions.join('') })
      const opened = await openModel(chatty)
      const { architecture } = opened
      const engine = await createEngine({ architecture, range: { from: 0, to: architecture.layerCount + 2 }, unit: index => opened.unit(index), threads: 1, keyValuePositions: 256 })
      const peer = createPeerNode({ engine, model: opened, listen: ['/ip4/127.0.0.1/tcp/0'], limits: { evictIdleMilliseconds: 0 } })
      const client = createPeerNode({})
      try {
        await Promise.all([peer.start(), client.start()])
        const chat = start(['chat', '--model', chatty, '--join', peer.addresses[0], '--max-tokens', '8'])
        chat.child.stdin.write(questions[0])
        await chat.until('stderr', /prompt \d+ tokens/)
        const other = await connectRoute({ node: client, addresses: peer.addresses, model: opened })
        await other.step({ tokens: Uint32Array.of(1, 2, 3) })
        await other.close()
        chat.child.stdin.end(questions[1])
        const { code, stdout, stderr } = await chat.ended
        // what the peer had to give up is computed once more, and nothing else is noticed
        expect(stderr).to.match(/the same peers continue, \d+ positions replayed/)
        expect(code).to.equal(0)
        expect(stdout).to.equal(undisturbed.stdout)
      } finally {
        await Promise.all([peer.stop(), client.stop()])
        await engine.stop()
      }
    })

    it('keeps the history at the peers: a turn computes only its own tokens', async () => {
      const chatty = chattyModel()
      const peer = await startPeer('--model', chatty)
      const { code, stdout, stderr } = await run(['chat', '--model', chatty, '--join', peer.address, '--max-tokens', '8'], {
        input: 'What is the state of the Union?\n\nAnd of the Treasury?\n/reset\nWhat is the state of the Union?\n/exit\n'
      })
      expect(stderr).to.match(/prompt \d+ tokens/)
      expect(code).to.equal(0)
      const answers = stdout.trimEnd().split('\n')
      expect(answers).to.have.length(3)
      expect(answers[2]).to.equal(answers[0])
      const turns = [...stderr.matchAll(/prompt (\d+) tokens?(?: \((\d+) kept\))?/g)].map(([, computed, kept]) => ({ computed: Number(computed), kept: Number(kept ?? 0) }))
      expect(turns).to.have.length(3)
      // the eight tokens of the answer are there too, but for the last, which nothing followed
      expect(turns[1].kept).to.equal(turns[0].computed + 7)
      // what the same beginning needs again is one token, for its logits
      expect(turns[2]).to.deep.equal({ computed: 1, kept: turns[0].computed - 1 })
    })
  })
})
