import { expect } from 'chai'
import fc from 'fast-check'
import {
  InvalidMachineError, InvalidPlanOptionError, NoPlanError, peerBytes, planSplit, totalWork, ZeroCapacityError
} from '../../../src/partition/index.ts'
import { createFreeSearch } from '../../../src/partition/free-search.ts'
import { lowerBound } from '../../../src/partition/bounds.ts'
import { createOrderSearch } from '../../../src/partition/order-search.ts'
import { createProblem } from '../../../src/partition/problem.ts'
import { leastLimit, mostSeconds } from '../../../src/partition/search.ts'
import { anyCosts, anyMachines, bruteForce } from '../../support/machines.ts'
import type { Machine, ModelCosts, SplitOptions, SplitPlan } from '../../../src/partition/index.ts'

const anyOptions: fc.Arbitrary<Required<SplitOptions>> = fc.record({
  objective: fc.constantFrom('throughput' as const, 'latency' as const),
  order: fc.constantFrom('free' as const, 'fixed' as const),
  positions: fc.nat(3),
  hopSeconds: fc.nat(4),
  baseBytes: fc.nat(5)
})

/** Layers alike between a light embedding and a heavy head. */
function model (layers: number, { embed = 30, layer = 10, head = 30, tied = 30 } = {}): ModelCosts {
  const unit = (memoryBytes: number, work: number) => ({ memoryBytes, storedBytes: memoryBytes, keyValueBytes: 0, work })
  return {
    units: [unit(embed, 0), ...Array.from({ length: layers }, () => unit(layer, layer)), unit(head, head)],
    tied: { memoryBytes: tied, storedBytes: tied },
    pagePositions: 1
  }
}

function machine (name: string, memoryBytes: number, speed = 1): Machine {
  return { name, memoryBytes, speed }
}

const bare = { baseBytes: 0, hopSeconds: 0 }

function plan (costs: ModelCosts, machines: Machine[], options: SplitOptions): SplitPlan | undefined {
  try {
    return planSplit(costs, machines, options)
  } catch (error) {
    if (error instanceof NoPlanError || error instanceof ZeroCapacityError) return undefined
    throw error
  }
}

function objectiveOf ({ objective, slowestSeconds, latencySeconds }: SplitPlan): number {
  return objective === 'latency' ? latencySeconds : slowestSeconds
}

function caught (action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return error
  }
  return undefined
}

describe('partition: planSplit', () => {
  describe('refuses', () => {
    const costs = model(4)
    const lists: Array<[string, Machine[], string]> = [
      ['no machines', [], 'machines'],
      ['a name twice', [machine('a', 100), machine('a', 100)], 'name'],
      ['memory that is no number', [machine('a', NaN)], 'memory'],
      ['memory without end', [machine('a', Infinity)], 'memory'],
      ['less than no memory', [machine('a', -1)], 'memory'],
      ['no speed', [machine('a', 100, 0)], 'speed'],
      ['a speed that is no number', [machine('a', 100, NaN)], 'speed'],
      ['a hop back in time', [{ ...machine('a', 100), hopSeconds: -1 }], 'hop'],
      ['too many machines', Array.from({ length: 10_001 }, (_, i) => machine(String(i), 100)), 'machines']
    ]
    for (const [name, machines, field] of lists) {
      it(name, () => {
        const error = caught(() => planSplit(costs, machines))
        expect(error).to.be.instanceOf(InvalidMachineError).with.property('field', field)
        expect(error).to.include({ code: 'ERR_INVALID_MACHINE', retryable: false })
      })
    }

    for (const options of [{ positions: -1 }, { baseBytes: NaN }, { hopSeconds: -0.1 }]) {
      it(`options ${JSON.stringify(Object.keys(options))} out of range`, () => {
        expect(() => planSplit(costs, [machine('a', 1e9)], options)).to.throw(InvalidPlanOptionError)
      })
    }

    it('machines of which none holds a unit', () => {
      const error = caught(() => planSplit(costs, [machine('a', 5), machine('b', 109)], { ...bare, baseBytes: 100 }))
      expect(error).to.be.instanceOf(ZeroCapacityError).that.includes({ neededBytes: 110, largestBytes: 109 })
      expect(() => planSplit(costs, [machine('b', 110)], { ...bare, baseBytes: 100 })).to.throw(NoPlanError)
    })

    it('machines that do not hold the model, and says how many bytes are missing', () => {
      // embed and two layers, a layer: a layer and the head are left
      const error = caught(() => planSplit(costs, [machine('a', 59), machine('b', 19)], bare))
      expect(error).to.be.instanceOf(NoPlanError).that.includes({ missingBytes: 40, firstUnit: 4, neededBytes: 100, availableBytes: 78 })
      expect((error as Error).message).to.match(/40 bytes are missing/)
    })
  })

  it('says as missing what is enough on the machine that has room last, or on one more', () => {
    fc.assert(fc.property(anyCosts(), anyMachines(), anyOptions, (costs, machines, options) => {
      const error = caught(() => planSplit(costs, machines, options))
      if (!(error instanceof NoPlanError)) return
      expect(error.missingBytes).to.be.above(0)
      const more = { name: 'more', speed: 1, memoryBytes: error.missingBytes + options.baseBytes }
      expect(plan(costs, [...machines, more], options)).to.not.equal(undefined)
      expect(machines.some((_, i) => plan(costs, machines.map((machine, j) => i === j ? { ...machine, memoryBytes: machine.memoryBytes + error.missingBytes } : machine), options) !== undefined)).to.equal(true)
    }), { seed: 11, numRuns: 300 })
  })

  it('finds what trying everything finds, for both objectives, in free and fixed order', () => {
    let found = 0
    fc.assert(fc.property(anyCosts(), anyMachines(), anyOptions, (costs, machines, options) => {
      const { objective, order } = options
      const best = bruteForce(costs, machines, { ...options, fixed: order === 'fixed' })
      const result = plan(costs, machines, options)
      expect(result === undefined).to.equal(best === undefined)
      if (result === undefined || best === undefined) return
      found++
      expect(result.exact).to.equal(true)
      if (objective === 'latency') {
        expect(result.latencySeconds).to.be.closeTo(best.latency, 1e-7)
      } else {
        expect(result.slowestSeconds).to.equal(best.slowest)
        expect(result.latencySeconds).to.be.closeTo(best.slowestLatency, 1e-7)
      }
      expect(result.lowerBoundSeconds).to.equal(objectiveOf(result))
      expect(lowerBound(createProblem(costs, machines, options), objective)).to.be.at.most(objectiveOf(result) * (1 + 1e-9))
    }), { seed: 5, numRuns: 600 })
    expect(found).to.be.above(150)
  })

  it('covers every unit once and gives no machine two ranges, nor more than its memory', () => {
    fc.assert(fc.property(anyCosts({ maxLayers: 12 }), anyMachines({ maxLength: 8 }), anyOptions, (costs, machines, options) => {
      const result = plan(costs, machines, options)
      if (result === undefined) return
      let next = 0
      for (const { machine, name, range, memoryBytes, weightBytes, keyValueBytes } of result.stages) {
        expect(range.from).to.equal(next)
        expect(range.to).to.be.above(range.from)
        next = range.to
        expect(name).to.equal(machines[machine].name)
        expect(memoryBytes).to.equal(peerBytes(costs, range, options)).and.equal(weightBytes + keyValueBytes + options.baseBytes)
        expect(memoryBytes).to.be.at.most(machines[machine].memoryBytes)
      }
      expect(next).to.equal(costs.units.length)
      const used = result.stages.map(({ machine }) => machine)
      expect([...used, ...result.unused].toSorted((a, b) => a - b)).to.deep.equal(machines.map((_, i) => i))
      if (options.order === 'fixed') expect(used).to.deep.equal(used.toSorted((a, b) => a - b))
      expect(result.slowestSeconds).to.equal(Math.max(...result.stages.map(({ seconds }) => seconds)))
    }), { seed: 6, numRuns: 300 })
  })

  it('is never worse with more memory, more speed or one machine more', () => {
    let compared = 0
    fc.assert(fc.property(anyCosts(), anyMachines({ maxLength: 6 }), anyOptions, fc.nat(5), fc.nat(80), fc.nat(5), (costs, machines, options, which, memory, speed) => {
      const before = plan(costs, machines, options)
      if (before === undefined) return
      compared++
      const better = machines.map((machine, i) => i === which % machines.length
        ? { ...machine, memoryBytes: machine.memoryBytes + memory, speed: machine.speed + speed }
        : machine)
      const longer = [...machines, { name: 'more', memoryBytes: memory, speed: speed + 1 }]
      for (const list of [better, longer]) {
        const after = plan(costs, list, options)
        expect(after, 'still fits').to.not.equal(undefined)
        expect(objectiveOf(after!)).to.be.at.most(objectiveOf(before) * (1 + 1e-9))
      }
    }), { seed: 7, numRuns: 400 })
    expect(compared).to.be.above(100)
  })

  it('gives equal machines nearly equal work', () => {
    fc.assert(fc.property(fc.integer({ min: 4, max: 60 }), fc.integer({ min: 1, max: 12 }), (layers, count) => {
      const costs = model(layers)
      const machines = Array.from({ length: count }, (_, i) => machine(`m${i}`, 1e6))
      const { stages, slowestSeconds, unused } = planSplit(costs, machines, bare)
      const times = stages.map(({ seconds }) => seconds)
      expect(slowestSeconds).to.be.below(totalWork(costs) / count + 30)
      // ties of the slowest stage go to equal shares: what is left over is less than a stage's largest unit
      expect(slowestSeconds - Math.min(...times)).to.be.at.most(30)
      expect(unused.length + stages.length).to.equal(count)
    }), { seed: 8, numRuns: 60 })
    const times = planSplit(model(30), [1, 2, 3, 4].map(i => machine(`m${i}`, 1e6)), bare).stages.map(({ seconds }) => seconds)
    expect(times.toSorted()).to.deep.equal([80, 80, 80, 90])
  })

  it('counts a tied embedding once where one machine has both ends', () => {
    const costs = model(2)
    expect(planSplit(costs, [machine('a', 50)], bare).stages).to.have.length(1)
    expect(planSplit(costs, [machine('a', 50)], bare).stages[0]).to.include({ weightBytes: 50, storedBytes: 50 })
    expect(() => planSplit(costs, [machine('a', 49)], bare)).to.throw(NoPlanError)
    expect(planSplit(costs, [machine('a', 40), machine('b', 40)], bare).stages.map(({ weightBytes }) => weightBytes)).to.deep.equal([40, 40])
  })

  it('leaves out machines that a hop makes useless, and takes them where the slowest stage counts', () => {
    const machines = [machine('near', 1000), { ...machine('far', 1000), hopSeconds: 500 }]
    const latency = planSplit(model(10), machines, { ...bare, objective: 'latency' })
    expect(latency.stages.map(({ name }) => name)).to.deep.equal(['near'])
    expect(latency.unused).to.deep.equal([1])
    const throughput = planSplit(model(10), machines, bare)
    expect(throughput.stages).to.have.length(2)
    expect(throughput.slowestSeconds).to.equal(70)
    expect(throughput.latencySeconds).to.equal(630)
  })

  it('puts the fast machine where the work is', () => {
    const costs = model(8, { head: 80, tied: 0 })
    const [slow, fast] = [machine('slow', 1000, 1), machine('fast', 1000, 4)]
    const { stages, slowestSeconds } = planSplit(costs, [fast, slow], bare)
    expect(stages.map(({ name, range }) => [name, range.from, range.to])).to.deep.equal([['slow', 0, 4], ['fast', 4, 10]])
    expect(slowestSeconds).to.equal(32.5)
    // with the slow one last, the head alone would take it 80 s
    const fixed = planSplit(costs, [fast, slow], { ...bare, order: 'fixed' })
    expect(fixed.stages.map(({ name }) => name)).to.deep.equal(['fast'])
    expect(fixed.slowestSeconds).to.equal(40)
  })

  it('is exact over many machines of a few kinds', () => {
    const costs = model(60)
    const machines = Array.from({ length: 90 }, (_, i) => machine(`m${i}`, [60, 90, 200][i % 3], [1, 2, 3][i % 3]))
    const result = planSplit(costs, machines, { ...bare, baseBytes: 20 })
    expect(result.exact).to.equal(true)
    expect(result.slowestSeconds).to.equal(10)
  })

  describe('over more machines than all orders of can be searched', () => {
    const many = (seed: number, count: number, memory: () => number): Machine[] => {
      let state = seed
      const random = () => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
        return state / 2 ** 32
      }
      return Array.from({ length: count }, (_, i) => machine(`m${i}`, Math.floor(memory() * (0.5 + random())), 1 + Math.floor(random() * 1000) / 100))
    }

    it('keeps its bound: the k fastest machines share the work, and one unit more', () => {
      for (let seed = 1; seed <= 12; seed++) {
        const costs = model(60, { head: 20, tied: 0 })
        const machines = many(seed, 20 + seed, () => 1e6)
        const result = planSplit(costs, machines, bare)
        expect(result.exact).to.equal(false)
        const speeds = machines.map(({ speed }) => speed).toSorted((a, b) => b - a)
        let sum = 0
        const bound = Math.min(...speeds.map(speed => totalWork(costs) / (sum += speed) + 20 / speed))
        expect(result.slowestSeconds).to.be.at.most(bound)
        expect(result.lowerBoundSeconds).to.be.at.most(result.slowestSeconds)
      }
    })

    it('keeps to memory, for both objectives, and says where it is not exact', () => {
      for (const objective of ['throughput', 'latency'] as const) {
        const costs = model(80)
        const machines = many(3, 60, () => 60)
        const result = planSplit(costs, machines, { ...bare, objective })
        expect(result.exact).to.equal(false)
        for (const { machine, memoryBytes } of result.stages) expect(memoryBytes).to.be.at.most(machines[machine].memoryBytes)
        expect(result.stages.at(-1)?.range.to).to.equal(82)
        expect(objectiveOf(result)).to.be.within(result.lowerBoundSeconds, result.lowerBoundSeconds * 1.5)
      }
    })

    it('says that machines do not hold the model', () => {
      expect(() => planSplit(model(80), many(3, 30, () => 30), bare)).to.throw(NoPlanError)
    })

    it('is never below the optimum, and seldom above it, where both can be had', () => {
      let plans = 0
      let optimal = 0
      fc.assert(fc.property(anyCosts({ minLayers: 4, maxLayers: 10 }), anyMachines({ minLength: 5, maxLength: 7 }), fc.constantFrom('throughput' as const, 'latency' as const), (costs, machines, objective) => {
        const problem = createProblem(costs, machines, { ...bare })
        const free = createFreeSearch(problem)
        const bound = lowerBound(problem, objective)
        const ordered = createOrderSearch(problem, objective, bound, 300)
        if (ordered.furthest(Infinity) < problem.unitCount) return
        plans++
        const value = (search: typeof free): number => {
          if (objective === 'throughput') return leastLimit(search, problem.unitCount, bound, mostSeconds(problem))
          return search.cheapest(Infinity)!.reduce((sum, { machine, from, to }) =>
            sum + (problem.work[to] - problem.work[from]) / machines[machine].speed + (machines[machine].hopSeconds ?? 0), 0)
        }
        const [best, other] = [value(free), value(ordered)]
        expect(other).to.be.at.least(best * (1 - 1e-9))
        if (other <= best * (1 + 1e-9)) optimal++
      }), { seed: 9, numRuns: 200 })
      expect(plans).to.be.above(80)
      expect(optimal / plans).to.be.above(0.5)
    })
  })
})
