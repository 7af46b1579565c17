import { expect } from 'chai'
import { byteSize } from '../../../src/cli/byte-size.ts'
import { hopTime, parseMachine, readMachineFile, withSpeeds } from '../../../src/cli/machine-list.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const workload = { modelId: 'this', work: 1000 }

async function failure (promise: Promise<unknown>): Promise<Error> {
  return await promise.then(() => { throw new Error('did not fail') }, (error: Error) => error)
}

describe('cli/machine-list', () => {
  for (const text of [
    '', 'attic', 'name=attic', 'memory=8GB', 'name=,memory=8GB', 'name=at tic,memory=8GB', 'name=attic,memory=', 'name=attic,memory=much',
    'name=attic,memory=-1', 'name=attic,name=desk,memory=8GB', 'name=attic,memory=8GB,cores=2', 'name=attic,memory=8GB,speed=fast',
    'name=attic,memory=8GB,speed=0', 'name=attic,memory=8GB,speed=-3', 'name=attic,memory=8GB,speed=9GB', 'name=attic,memory=8GB,speed=/s',
    'name=attic,memory=8GB,speed=3,bench=x.json', 'name=attic,memory=8GB,hop=2', 'name=attic,memory=8GB,hop=-2ms', 'name=a\u001b[31m,memory=8GB'
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(() => parseMachine(text)).to.throw(/^--machine/).with.property('name', 'UsageError')
    })
  }

  it('reads machines', () => {
    expect(parseMachine('name=attic,memory=8GB')).to.deep.equal({ name: 'attic', memoryBytes: 8e9, speed: undefined, hopSeconds: undefined })
    expect(parseMachine(' name = a.b-c , memory = 512 MiB , speed = 45.5 , hop = 0.5ms ')).to.deep.equal({
      name: 'a.b-c', memoryBytes: 512 * 2 ** 20, speed: { kind: 'tokens', perSecond: 45.5 }, hopSeconds: 0.0005
    })
    expect(parseMachine('name=a,memory=1,speed=9GB/s').speed).to.deep.equal({ kind: 'bytes', perSecond: 9e9 })
    expect(hopTime('0.1s', '--hop')).to.equal(0.1)
    expect(byteSize('1.5kB')).to.equal(1500)
  })

  describe('files', () => {
    const folder = temporaryFolder()
    const file = (name: string, value: unknown): string => folder.write(name, typeof value === 'string' ? value : JSON.stringify(value))

    for (const [name, value, message] of [
      ['no JSON', 'machines', /not JSON/],
      ['no list', { machine: [] }, /no list/],
      ['nothing', 'null', /no list/],
      ['no objects', [1], /machine 1 is no object/],
      ['a list for an object', [[]], /machine 1 is no object/],
      ['an unknown field', [{ name: 'a', memory: 1, ram: 2 }], /"ram"/],
      ['a field that is no value', [{ name: 'a', memory: {} }], /memory is neither/],
      ['a machine without memory', [{ name: 'a', memory: 1 }, { name: 'b' }], /machine 2: memory/]
    ] as Array<[string, unknown, RegExp]>) {
      it(`refuse ${name}`, async () => {
        expect(await failure(readMachineFile(file('machines.json', value)))).to.include({ name: 'UsageError' }).and.property('message').to.match(message)
      })
    }

    it('hold a list, or an object with one; paths in them begin at their folder', async () => {
      const list = [{ name: 'a', memory: 1000, speed: 7 }, { name: 'b', memory: '2kB', bench: 'b.json', hop: '3ms' }]
      const expected = [
        { name: 'a', memoryBytes: 1000, speed: { kind: 'tokens', perSecond: 7 }, hopSeconds: undefined },
        { name: 'b', memoryBytes: 2000, speed: { kind: 'bench', path: folder.path('b.json') }, hopSeconds: 0.003 }
      ]
      expect(await readMachineFile(file('machines.json', list))).to.deep.equal(expected)
      expect(await readMachineFile(file('machines.json', { machines: list }))).to.deep.equal(expected)
    })

    it('of bench say the speed: by tokens of the same model, by bytes of another', async () => {
      const machine = parseMachine('name=a,memory=1GB')
      const speed = async (bench: unknown): Promise<number> => (await withSpeeds([machine], workload, file('bench.json', bench)))[0].speed
      expect(await speed({ model: { modelId: 'this' }, decode: { tokensPerSecond: 5 }, weightBytes: 77 })).to.equal(5000)
      expect(await speed({ model: { modelId: 'other' }, decode: { tokensPerSecond: 5 }, weightBytes: 77 })).to.equal(385)
      expect((await failure(speed({ model: { modelId: 'other' }, decode: { tokensPerSecond: 5 } }))).message).to.match(/another model/)
      for (const value of [null, {}, { decode: { tokensPerSecond: 0 } }, { decode: { tokensPerSecond: '5' } }]) {
        expect((await failure(speed(value))).message).to.match(/no output of/)
      }
    })
  })

  it('turns speeds into work per second, and asks for one where there is none', async () => {
    const machines = ['name=a,memory=1GB,speed=2', 'name=b,memory=1GB,speed=3kB/s,hop=1s'].map(parseMachine)
    expect(await withSpeeds(machines, workload)).to.deep.equal([
      { name: 'a', memoryBytes: 1e9, speed: 2000 }, { name: 'b', memoryBytes: 1e9, speed: 3000, hopSeconds: 1 }
    ])
    expect(await failure(withSpeeds([parseMachine('name=a,memory=1GB')], workload))).to.include({ name: 'UsageError', message: 'machine a: no speed' })
  })
})
