import { expect } from 'chai'
import { createProgram } from '../../../src/cli/program.ts'
import { createTerminal, lastLine, run } from './fake-terminal.ts'

const commands = ['prompt', 'chat', 'peer', 'swarm', 'pull', 'models', 'inspect', 'perplexity', 'logits', 'bench', 'plan', 'compress', 'derive', 'verify', 'invite', 'key', 'doctor', 'status', 'peers', 'drain']

describe('cli/main', () => {
  const wrong: Array<[string, string[], RegExp]> = [
    ['an unknown command', ['promt'], /unknown command 'promt'/],
    ['an unknown option', ['prompt', '--jion', 'x'], /unknown option '--jion'/],
    ['an argument too many', ['models', 'x'], /too many arguments/],
    ['a missing argument', ['pull'], /missing required argument/],
    ['an option without its value', ['prompt', 'x', '--join'], /argument missing/],
    ['a number that is none', ['prompt', 'x', '--temperature', 'hot'], /temperature/],
    ['a number out of bounds', ['prompt', 'x', '--top-p', '1.5'], /top-p/],
    ['a token count of nothing', ['prompt', 'x', '--max-tokens', '0'], /max-tokens/],
    ['an engine that is none', ['logits', '--ids', '1', '--engine', 'gpu'], /Allowed choices are wasm, oracle, reference/],
    ['a prompt for nobody', ['prompt', 'x'], /no peers to ask/],
    ['a chat with nobody', ['chat'], /no peers to ask/],
    ['a prompt given twice', ['prompt', 'x', '--file', 'y', '--local', 'all'], /not both/],
    ['a file that is not there', ['prompt', '--file', '/no/such/file', '--local', 'all'], /no such file/],
    ['logits of nothing', ['logits'], /no ids/],
    ['perplexity of nothing', ['perplexity'], /no text/],
    ['a sampling option that the library refuses', ['prompt', 'x', '--local', 'all', '--temperature', '0.0001'], /temperature/],
    ['a package without a name', ['compress'], /no folder/],
    ['a package that is there', ['compress', '--out', '.'], /is there already/],
    ['a mode that is none', ['compress', '--out', '/tmp/none/x', '--mode', 'q2'], /no such mode/],
    ['two budgets', ['compress', '--out', '/tmp/none/x', '--mode', 'q4', '--target-bits', '4'], /give one of them/],
    ['a budget that is no size', ['compress', '--out', '/tmp/none/x', '--budget', 'much'], /not a number of bytes/],
    ['a rank without a mode', ['compress', '--out', '/tmp/none/x', '--rank', '16'], /only with --mode/],
    ['a rank that is no multiple of 8', ['compress', '--out', '/tmp/none/x', '--mode', 'q4+svd', '--rank', '12'], /multiple of 8/],
    ['ranks to derive that are no multiple of 8', ['derive', '.', '--rank', '12'], /multiple of 8/],
    ['weighted errors without a source', ['verify', '.', '--weighted'], /only with --source/],
    ['more peers than layers', ['swarm', '--peers', '9', '--prompt', 'x'], /at most 8/],
    ['a plan for no machines', ['plan'], /no machines/],
    ['a plan with a machine of no speed', ['plan', '--machine', 'name=a,memory=1GB'], /machine a: no speed/],
    ['a plan with a machine twice', ['plan', '--machine', 'name=a,memory=1GB,speed=1', '--machine', 'name=a,memory=1GB,speed=1'], /a: name is there twice/],
    ['a plan for more positions than the model has', ['plan', '--context', '99999', '--machine', 'name=a,memory=1GB,speed=1'], /the model has 2048 positions/],
    ['a plan for some other end', ['plan', '--objective', 'fun', '--machine', 'name=a,memory=1GB,speed=1'], /Allowed choices are throughput, latency/],
    ['layers that the model lacks', ['peer', '--layers', '4:9', '--ephemeral'], /has 8 layers/]
  ]
  for (const [name, argv, message] of wrong) {
    it(`refuses ${name} in one line with a hint, exit code 2`, async () => {
      const { code, output, errors } = await run(argv)
      expect(code).to.equal(2)
      expect(output).to.equal('')
      expect(errors).to.match(message)
      const lines = errors.trimEnd().split('\n')
      expect(lines[0]).to.match(/^efedllm: /)
      expect(lines.length).to.be.at.most(2)
      expect(errors).to.not.match(/^\s+at /m)
    })
  }

  it('shows the help and exit code 2 where no command is given', async () => {
    const { code, output, errors } = await run([])
    expect(code).to.equal(2)
    expect(output).to.equal('')
    expect(errors).to.match(/Usage: efedllm/)
  })

  it('suggests what was meant', async () => {
    expect((await run(['promt'])).errors).to.match(/Did you mean prompt\?/)
    expect((await run(['peer', '--modle', 'x'])).errors).to.match(/Did you mean --model\?/)
  })

  it('gives exit code 1 for what fails, and the stack only where DEBUG asks', async () => {
    const failed = await run(['inspect', '/no/such/model.gguf'])
    expect(failed.code).to.equal(1)
    expect(failed.errors).to.match(/^efedllm: .*model\.gguf/).and.not.match(/^\s+at /m)
    expect((await run(['inspect', '/no/such/model.gguf'], { env: { DEBUG: 'efedllm:*' } })).errors).to.match(/^\s+at /m)
  })

  it('says what failed in JSON too', async () => {
    const { code, output } = await run(['inspect', '/no/such/model.gguf', '--json'])
    expect(code).to.equal(1)
    expect(lastLine(output)).to.have.property('error').that.includes({ name: 'ModelFileError', code: 'ERR_MODEL_FILE', retryable: false })
  })

  it('prints its version', async () => {
    const { code, output } = await run(['--version'])
    expect(code).to.equal(0)
    expect(output).to.match(/^\d+\.\d+\.\d+\n$/)
  })

  it('has these commands', () => {
    const context = { terminal: createTerminal(), signal: new AbortController().signal, onExit: () => () => {}, exitCode: 0 }
    expect(createProgram(context).commands.map(command => command.name())).to.have.members(commands)
  })

  for (const command of commands) {
    it(`gives an example in the help of ${command}`, async () => {
      const { code, output } = await run([command, '--help'])
      expect(code).to.equal(0)
      expect(output).to.match(new RegExp(`Examples?:\n +\\$ efedllm ${command}`))
    })
  }

  it('leaves no listeners behind', async () => {
    const before = process.listenerCount('SIGINT') + process.listenerCount('SIGTERM') + process.listenerCount('exit')
    await run(['--version'])
    expect(process.listenerCount('SIGINT') + process.listenerCount('SIGTERM') + process.listenerCount('exit')).to.equal(before)
  })
})
