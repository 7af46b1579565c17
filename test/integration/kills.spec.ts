import { expect } from 'chai'
import { integerGenerator } from '../support/random-bytes.ts'
import { sharedPath } from '../support/shared-data.ts'
import { killAll } from './cli-process.ts'
import { startMortalSwarm } from './mortal-swarm.ts'
import type { MortalSwarm, Text } from './mortal-swarm.ts'

const TOKENS = 24
const LAYERS = ['0:2', '2:4', '4:6', '6:8']

/** A repair happened, and the dead are no part of the route after it. */
function expectRepaired ({ events }: Text, victims: readonly string[]): void {
  const repairs = events.flatMap(event => event.type === 'route:repaired' ? [event.repair] : [])
  expect(repairs.length).to.be.at.least(1)
  const left = repairs.at(-1)!.route.map(({ peerId }) => peerId)
  for (const victim of victims) expect(left).to.not.include(victim)
}

/** The program as it is installed, ended by the operating system in the midst of a text; test/integration/peer-recovery.spec.ts has all stages and tokens. */
describe('a peer process that is killed in mid-text', function () {
  this.timeout(240_000)
  let swarm: MortalSwarm
  let undisturbed: number[]

  before(async () => {
    swarm = await startMortalSwarm({ model: 'models/sotu-4m', layers: LAYERS, prompt: 'Fellow-Citizens of the Senate and House of Representatives:', tokens: TOKENS })
    undisturbed = (await swarm.text()).ids
    expect(undisturbed).to.have.length(TOKENS)
  })

  after(async () => {
    await swarm?.stop()
    await killAll()
  })

  it('changes nothing of the text: 24 points, every stage at six tokens', async () => {
    for (let point = 0; point < 24; point++) {
      const stage = point % LAYERS.length
      const token = 1 + (point * 7) % (TOKENS - 1)
      let victim = ''
      const text = await swarm.text(token, route => {
        victim = route[stage]
        swarm.signal(victim, 'SIGKILL')
      })
      expect(text.ids, `stage ${stage + 1} killed at token ${token}`).to.deep.equal(undisturbed)
      expectRepaired(text, [victim])
      await swarm.replace(victim)
    }
  })

  it('nor does one that freezes', async () => {
    for (const stage of LAYERS.keys()) {
      let victim = ''
      const text = await swarm.text(5 + stage, route => {
        victim = route[stage]
        swarm.signal(victim, 'SIGSTOP')
      })
      expect(text.ids).to.deep.equal(undisturbed)
      expectRepaired(text, [victim])
      swarm.signal(victim, 'SIGKILL')
      await swarm.replace(victim)
    }
  })

  it('nor do two neighbours at once', async () => {
    const victims: string[] = []
    const text = await swarm.text(9, route => {
      victims.push(route[1], route[2])
      for (const victim of victims) swarm.signal(victim, 'SIGKILL')
    })
    expect(text.ids).to.deep.equal(undisturbed)
    expectRepaired(text, victims)
  })
})

describe('a peer process of SmolLM2 that is killed in mid-text', function () {
  this.timeout(300_000)
  const path = sharedPath('models', 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf')
  let swarm: MortalSwarm | undefined

  after(async () => {
    await swarm?.stop()
    await killAll()
  })

  it('changes nothing of the text: ten times, any stage at any token', async function () {
    if (path === undefined) this.skip() // the model is not in the repository: see test/support/shared-data.ts
    const layers = ['0:10', '10:20', '20:30']
    swarm = await startMortalSwarm({ model: path, layers, prompt: 'The theory of relativity was developed by', tokens: TOKENS, options: ['--no-share'] })
    const undisturbed = (await swarm.text()).ids
    expect(undisturbed).to.have.length(TOKENS)
    const below = integerGenerator(135)
    for (let turn = 0; turn < 10; turn++) {
      const stage = below(layers.length)
      const token = 1 + below(TOKENS - 1)
      let victim = ''
      const text = await swarm.text(token, route => {
        victim = route[stage]
        swarm!.signal(victim, 'SIGKILL')
      })
      expect(text.ids, `stage ${stage + 1} killed at token ${token}`).to.deep.equal(undisturbed)
      expectRepaired(text, [victim])
      await swarm.replace(victim)
    }
  })
})
