import { expect } from 'chai'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { availableVariants } from '../../../src/engine/index.ts'
import { openModel, packModel } from '../../../src/model/index.ts'
import type { PackageDescription } from '../../../src/model/index.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { examples, expectAsDocumented } from './documented.ts'
import { lastLine, run } from './fake-terminal.ts'
import type { BenchJson, CompressJson, DeriveJson, LogitsJson, PerplexityJson, PlanJson, PromptJson, VerifyJson } from '../../../src/cli/json.ts'

const file = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url))
const model = file('models/sotu-4m')

async function json<Value> (...argv: string[]): Promise<Value> {
  const { code, output, errors } = await run([...argv, '--json'])
  expect(errors).to.equal('')
  expect(code).to.equal(0)
  expect(output.trimEnd().split('\n')).to.have.length(1)
  return lastLine(output) as Value
}

describe('cli/json, the contract of --json', () => {
  const folder = temporaryFolder()
  const prompt = ['prompt', 'The state of the', '--model', model, '--local', 'all', '--max-tokens', '5']

  it('is documented for every command', () => {
    expect([...examples.keys()]).to.have.members(['error', 'prompt', 'peer', 'invite', 'doctor', 'status', 'swarm', 'perplexity', 'logits', 'bench', 'plan', 'pull', 'models', 'inspect', 'inspectPackage', 'compress', 'derive', 'verify'])
  })

  it('of failures', async () => {
    const { code, output } = await run(['prompt', 'x', '--local', 'embed', '--json'])
    expect(code).to.not.equal(0)
    expectAsDocumented(lastLine(output), 'error')
  })

  it('of prompt', async () => {
    const value = await json<PromptJson>(...prompt, '--logprobs', '1')
    // this route has no peers, so that none is lost: test/integration/cli.spec.ts has one that loses some
    expect(value.repairs).to.deep.equal([])
    const remote = { ...value, repairs: (examples.get('prompt') as PromptJson).repairs, route: value.route.map(stage => ({ ...stage, peerId: 'x', addresses: ['x'] })) }
    expectAsDocumented(remote, 'prompt')
    expect(value).to.include({ stopReason: 'length', seed: null, stopString: null, promptTokens: 6 })
    expect(value.tokenIds).to.have.length(5)
    expect(value.logProbabilities?.map(({ id }) => id)).to.deep.equal(value.tokenIds)
    expect(value.route).to.deep.equal([{ stage: 1, range: { from: 0, to: 10 }, units: 'embed, layers 0:8, head', local: true, peerId: null, addresses: [] }])
  })

  it('of prompt with a stop string and a seed', async () => {
    const plain = await json<PromptJson>(...prompt)
    expect(plain).to.not.have.property('logProbabilities')
    const stop = plain.text.trim().split(' ')[1]
    const stopped = await json<PromptJson>(...prompt, '--stop', stop)
    expect(stopped).to.include({ stopReason: 'stop-string', stopString: stop, text: plain.text.slice(0, plain.text.indexOf(stop)) })
    const drawn = await json<PromptJson>(...prompt, '--temperature', '1.5')
    expect(drawn.seed).to.be.a('number')
    const again = await json<PromptJson>(...prompt, '--temperature', '1.5', '--seed', String(drawn.seed))
    expect(again.tokenIds).to.deep.equal(drawn.tokenIds)
  })

  it('of logits, whose hash is that of the bits', async () => {
    const value = await json<LogitsJson>('logits', '--model', model, '--ids', '1,39,70')
    expectAsDocumented(value, 'logits')
    const logits = Float32Array.from(value.last)
    expect(Array.from(logits)).to.deep.equal(value.last)
    expect(logits).to.have.length(4096)
    expect(value.argmax).to.equal(logits.indexOf(Math.max(...logits)))
    const bytes = Buffer.alloc(logits.length * 4)
    logits.forEach((logit, index) => bytes.writeFloatLE(logit, index * 4))
    expect(value.sha256).to.equal(createHash('sha256').update(bytes).digest('hex'))
  })

  it('of logits from each engine', async () => {
    const [wasm, oracle, reference] = await Promise.all(['wasm', 'oracle', 'reference'].map(async engine =>
      await json<LogitsJson>('logits', '--model', model, '--ids', '1,39,70', '--engine', engine)))
    expect(oracle.sha256).to.equal(wasm.sha256)
    expect(reference.sha256).to.not.equal(wasm.sha256)
    expect(reference.argmax).to.equal(wasm.argmax)
    expect([wasm.engine, oracle.engine, reference.engine]).to.deep.equal(['wasm', 'oracle', 'reference'])
  })

  it('of perplexity', async () => {
    const value = await json<PerplexityJson>('perplexity', '--model', model, '--text', `${model}/heldout.txt`, '--window', '64', '--windows', '3')
    expectAsDocumented(value, 'perplexity')
    expect(value).to.include({ tokens: 3 * 63, window: 64 })
    expect(value.windows).to.have.length(3)
    expect(value.perplexity).to.be.closeTo(Math.exp(value.negativeLogLikelihood / value.tokens), 1e-9)
  })

  it('of bench', async () => {
    const value = await json<BenchJson>('bench', '--model', model, '--prefill', '16', '--decode', '4', '--runs', '1')
    // not every system lists the processor's flags
    expectAsDocumented({ ...value, threads: null, machine: { ...value.machine, flags: value.machine.flags ?? ['avx2'] } }, 'bench')
    expect(value.prefill.tokens).to.equal(16)
    expect(value.decode.tokens).to.equal(4)
    expect(value.decode.tokensPerSecond).to.be.within(value.decode.least, value.decode.most)
    expect(availableVariants()).to.include.members([value.kernels!.vector, value.kernels!.tile])
    expect(value.decode.p50).to.be.at.most(value.decode.p99)
  })

  it('of inspect, of a package', async () => {
    await packModel(await openModel(model), folder.path('package'))
    const value = await json<PackageDescription>('inspect', folder.path('package'))
    expectAsDocumented(value, 'inspectPackage')
    expect(value).to.include({ name: 'sotu-4m', parameters: 4033728, bitsPerWeight: 16 })
    expect(value.units).to.have.length(10)
  })

  it('of plan', async () => {
    const value = await json<PlanJson>('plan', model, '--context', '512', '--sessions', '1', '--machine', 'name=attic,memory=205MB,speed=100', '--machine', 'name=desk,memory=206MB,speed=50')
    // nothing is left out here
    expectAsDocumented({ ...value, unused: ['x'] }, 'plan')
    expect(value.stages.map(({ machine, units }) => [machine, units])).to.deep.equal([['desk', 'embed, layers 0:3'], ['attic', 'layers 3:8, head']])
    expect(value.stages.map(({ slowest }) => slowest)).to.deep.equal([false, true])
    for (const { weightBytes, keyValueBytes, memoryBytes, machineMemoryBytes, memoryShare } of value.stages) {
      expect(memoryBytes).to.equal(weightBytes + keyValueBytes + 200e6)
      expect(memoryShare).to.equal(memoryBytes / machineMemoryBytes).and.be.at.most(1)
    }
    const sum = value.stages.reduce((total, stage) => total + stage.milliseconds + stage.hopMilliseconds, 1)
    expect(value.latencyMilliseconds).to.be.closeTo(sum, 1e-9)
    expect(value.tokensPerSecond.one).to.be.closeTo(1000 / sum, 1e-9)
    expect(value.tokensPerSecond.many).to.be.closeTo(1000 / value.slowestMilliseconds, 1e-9)
  })

  it('of compress, derive and verify', async function () {
    this.timeout(60_000)
    const directory = folder.path('compressed')
    const few = ['--tokens', '512', '--held-out', '128', '--window', '128', '--threads', '1']
    const report = await json<CompressJson>('compress', model, '--mode', 'q4+svd', '--rank', '8', '--out', directory, ...few)
    // a mode needs no survey
    expect(report.expectedDivergence).to.equal(null)
    expectAsDocumented({ ...report, expectedDivergence: 0.1 }, 'compress')
    expect(readFileSync(report.plot, 'utf8')).to.match(/^<svg/)
    expect(report.matrices).to.have.length(57)

    const verified = await json<VerifyJson>('verify', directory, '--source', model, '--threads', '1')
    expectAsDocumented(verified, 'verify')
    expect(verified).to.include({ sound: true, modelId: report.package.modelId })
    expect(verified.errors).to.have.length(57)

    const derived = await json<DeriveJson>('derive', directory, '--rank', '0')
    expectAsDocumented(derived, 'derive')
    // all matrices but the embedding
    expect(derived).to.include({ from: report.package.modelId, rank: 0, matrices: 56 })
    expect((await openModel(derived.manifest)).modelId).to.equal(derived.modelId).and.not.to.equal(derived.from)
    expect((await run(['derive', directory, '--rank', '8'])).errors).to.match(/no matrix has a rank above 8/)

    const blob = verified.files.find(({ holds }) => holds.includes('layer 3'))!.path
    const bytes = readFileSync(blob)
    bytes[bytes.length - 100] ^= 1
    writeFileSync(blob, bytes)
    const { code, output } = await run(['verify', directory, '--json'])
    expect(code).to.equal(1)
    const broken = lastLine(output) as VerifyJson
    expect(broken.sound).to.equal(false)
    expect(broken.files.filter(({ problem }) => problem !== null).map(({ path }) => path)).to.deep.equal([blob])
  })

  it('of inspect, models and pull', async () => {
    expectAsDocumented(await json('inspect', model), 'inspect')
    expectAsDocumented(await json('models'), 'models')
    expectAsDocumented(await json('pull', 'sotu-4m'), 'pull')
  })
})
