import { expect } from 'chai'
import fc from 'fast-check'
import { createKeptOutputs, HistoryLostError } from '../../../src/peer/stage/history/kept-outputs.ts'
import type { KeptHistory } from '../../../src/peer/stage/history/kept-outputs.ts'
import type { SpillFile } from '../../../src/peer/stage/history/spill-file.ts'
import { rejection } from '../../support/rejection.ts'

const ROW = 2
const CHUNK = 32 * ROW * 4

/** Rows that tell who wrote them, and where. */
function rows (count: number, position: number, seed: number): Float32Array {
  return Float32Array.from({ length: count * ROW }, (_value, index) => seed * 1000 + position + Math.floor(index / ROW) + (index % ROW) / 4)
}

/** A disk in memory, whose writes end when the test says so; slots that are in use are checked. */
function memoryDisk () {
  const slots = new Map<number, Uint8Array>()
  const writes: Array<() => void> = []
  let broken = false
  const disk: SpillFile = {
    async write (slot, bytes) {
      if (broken) throw new Error('no space')
      await new Promise<void>(resolve => writes.push(resolve))
      slots.set(slot, bytes.slice())
    },
    async read (slot, offset, into) {
      if (broken) throw new Error('gone')
      into.set(slots.get(slot)!.subarray(offset, offset + into.length))
    },
    clear: () => slots.clear(),
    async close () {}
  }
  return {
    disk,
    slots,
    writes,
    /** lets all writes end that are under way */
    async settle () {
      for (const end of writes.splice(0)) end()
      for (let turn = 0; turn < 10; turn++) await Promise.resolve()
    },
    break () { broken = true }
  }
}

function outputs (memoryChunks: number, diskChunks: number, disk = memoryDisk()) {
  const errors: Error[] = []
  return { ...disk, errors, store: createKeptOutputs({ rowSize: ROW, memoryBytes: memoryChunks * CHUNK, diskBytes: diskChunks * CHUNK, spill: disk.disk, onDiskError: error => errors.push(error) }) }
}

describe('peer/stage: kept outputs', () => {
  it('refuses what it does not have', async () => {
    const { store } = outputs(10, 0)
    const history = store.open()
    history.write(0, rows(40, 0, 1))
    for (const [from, to] of [[0, 41], [40, 41], [-1, 3], [5, 5], [6, 5], [NaN, 3]]) expect(await rejection(history.read(from, to)), `${from}:${to}`).to.be.instanceOf(HistoryLostError)
    history.close()
    history.close()
    expect((await rejection(history.read(0, 1))).message).to.contain('none are')
    expect(store.memoryBytes).to.equal(0)
  })

  it('keeps nothing behind a gap, and nothing at all with no budget', async () => {
    const { store } = outputs(10, 0)
    const history = store.open()
    history.write(1, rows(3, 1, 1))
    expect(history.length).to.equal(0)
    history.write(0, rows(3, 0, 1))
    history.write(4, rows(3, 4, 1))
    expect(history.length).to.equal(3)
    const none = outputs(0, 0).store
    const other = none.open()
    other.write(0, rows(64, 0, 1))
    expect([other.length, none.memoryBytes]).to.deep.equal([0, 0])
  })

  it('gives up the session used least recently, which starts anew with position 0', async () => {
    const { store } = outputs(4, 0)
    const [one, two] = [store.open(), store.open()]
    one.write(0, rows(64, 0, 1))
    two.write(0, rows(32, 0, 2))
    await one.read(0, 1)
    two.write(32, rows(64, 32, 2))
    expect([one.length, two.length, store.memoryBytes]).to.deep.equal([0, 96, 3 * CHUNK])
    one.write(64, rows(1, 64, 1))
    expect(one.length).to.equal(0)
    one.write(0, rows(1, 0, 3))
    expect(await one.read(0, 1)).to.deep.equal(rows(1, 0, 3))
    // one that is larger than everything gives up itself, once it is alone
    two.write(96, rows(320, 96, 2))
    expect([one.length, two.length, store.memoryBytes]).to.deep.equal([0, 0, 0])
  })

  it('shares chunks between sessions that begin alike, and not what they write later', async () => {
    const { store } = outputs(100, 0)
    const one = store.open()
    one.write(0, rows(80, 0, 1))
    expect(store.memoryBytes).to.equal(3 * CHUNK)
    const two = store.open({ history: one, length: 64 })
    expect([two.length, store.memoryBytes]).to.deep.equal([64, 3 * CHUNK])
    two.write(64, rows(10, 64, 2))
    one.write(70, rows(2, 70, 3))
    expect(await two.read(60, 74)).to.deep.equal(Float32Array.from([...rows(4, 60, 1), ...rows(10, 64, 2)]))
    expect(await one.read(60, 72)).to.deep.equal(Float32Array.from([...rows(10, 60, 1), ...rows(2, 70, 3)]))
    one.close()
    expect(await two.read(0, 64)).to.deep.equal(rows(64, 0, 1))
    two.close()
    expect(store.memoryBytes).to.equal(0)
    expect(store.open({ history: two, length: 64 }).length).to.equal(0)
  })

  it('sends the oldest chunks to disk and reads them back', async () => {
    const { store, settle, slots } = outputs(2, 10)
    const history = store.open()
    history.write(0, rows(200, 0, 1))
    await settle()
    expect([store.memoryBytes, store.diskBytes, slots.size]).to.deep.equal([2 * CHUNK, 5 * CHUNK, 5])
    expect(await history.read(0, 200)).to.deep.equal(rows(200, 0, 1))
    expect(await history.read(31, 34)).to.deep.equal(rows(3, 31, 1))
    // cut within a chunk that is on disk
    history.truncate(40)
    history.write(40, rows(50, 40, 2))
    expect(await history.read(30, 90)).to.deep.equal(Float32Array.from([...rows(10, 30, 1), ...rows(50, 40, 2)]))
    await settle()
    history.close()
    await settle()
    expect([store.memoryBytes, store.diskBytes, slots.size]).to.deep.equal([0, 0, 0])
  })

  it('does without a disk that fails, and says so', async () => {
    const { store, settle, errors, ...disk } = outputs(2, 10)
    const [one, two] = [store.open(), store.open()]
    one.write(0, rows(128, 0, 1))
    await settle()
    disk.break()
    two.write(0, rows(64, 0, 2))
    await settle()
    expect(errors.map(({ message }) => message)).to.deep.equal(['no space', 'no space'])
    expect((await rejection(one.read(0, 20))).message).to.contain('gone')
    two.write(64, rows(1, 64, 2))
    expect([one.length, two.length]).to.deep.equal([0, 0])
    two.write(0, rows(33, 0, 2))
    expect(await two.read(0, 33)).to.deep.equal(rows(33, 0, 2))
    expect(store.memoryBytes).to.be.at.most(2 * CHUNK)
  })

  it('bounds what is on its way to a disk that does not answer', () => {
    // 1 MiB a row: a chunk has 32 MiB, which is all that may be under way
    const { disk, writes } = memoryDisk()
    const rowSize = 1 << 16
    const store = createKeptOutputs({ rowSize, memoryBytes: 8 << 20, diskBytes: 1 << 30, spill: disk })
    const history = store.open()
    for (let position = 0; position < 400; position += 20) history.write(position, new Float32Array(20 * rowSize))
    expect(store.memoryBytes).to.be.at.most((8 << 20) + (32 << 20))
    expect(writes.length).to.be.within(1, 4)
    expect(history.length).to.equal(0)
  })

  it('does as a plain list of rows would, within its budgets', async () => {
    const position = fc.nat(150)
    const action = fc.oneof(
      { weight: 2, arbitrary: fc.record({ what: fc.constant('open' as const), like: fc.option(fc.nat(5)), length: position }) },
      { weight: 8, arbitrary: fc.record({ what: fc.constant('write' as const), which: fc.nat(5), back: fc.oneof(fc.constant(0), fc.nat(40)), count: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 90 })) }) },
      { weight: 2, arbitrary: fc.record({ what: fc.constant('truncate' as const), which: fc.nat(5), length: position }) },
      { weight: 4, arbitrary: fc.record({ what: fc.constant('read' as const), which: fc.nat(5), from: position, count: fc.integer({ min: 1, max: 100 }) }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('close' as const), which: fc.nat(5) }) },
      { weight: 3, arbitrary: fc.record({ what: fc.constant('settle' as const) }) }
    )
    let gaveUp = 0
    let spilled = 0
    await fc.assert(fc.asyncProperty(fc.array(action, { maxLength: 60, size: 'max' }), fc.oneof(fc.constant([1000, 0]), fc.constant([20, 1000]), fc.constant([3, 4]), fc.constant([5, 0])), async (actions, [memory, disk]) => {
      const { store, settle, writes, slots } = outputs(memory, disk)
      const unlimited = memory + disk >= 1000
      const open: Array<{ history: KeptHistory, model: number[] }> = []
      const reads: Array<Promise<void>> = []
      let seed = 0
      const check = (): void => {
        for (const { history, model } of open) {
          // given up by the store: the model forgets too
          if (history.length === 0 && model.length > 0 && !unlimited) {
            gaveUp++
            model.length = 0
          }
          expect(history.length).to.equal(model.length / ROW)
        }
        expect(store.memoryBytes).to.be.at.most((memory + writes.length) * CHUNK)
        expect(store.diskBytes).to.be.at.most(disk * CHUNK)
      }
      for (const entry of actions) {
        const one = 'which' in entry ? open[entry.which % Math.max(1, open.length)] : undefined
        if (entry.what === 'settle') {
          spilled += writes.length
          await settle()
        } else if (entry.what === 'open') {
          const like = entry.like === null ? undefined : open[entry.like % Math.max(1, open.length)]
          const history = store.open(like && { history: like.history, length: entry.length })
          open.push({ history, model: like === undefined ? [] : like.model.slice(0, entry.length * ROW) })
        } else if (one !== undefined && entry.what === 'write') {
          const at = Math.max(0, one.history.length - entry.back)
          const values = rows(entry.count, at, ++seed)
          one.history.write(at, values)
          one.model.length = at * ROW
          one.model.push(...values)
        } else if (one !== undefined && entry.what === 'truncate') {
          one.history.truncate(entry.length)
          one.model.length = Math.min(one.model.length, entry.length * ROW)
        } else if (one !== undefined && entry.what === 'read') {
          const expected = Float32Array.from(one.model.slice(entry.from * ROW, (entry.from + entry.count) * ROW))
          const there = expected.length === entry.count * ROW
          reads.push(one.history.read(entry.from, entry.from + entry.count).then(actual => {
            expect(actual).to.deep.equal(expected)
          }, error => {
            expect(error).to.be.instanceOf(HistoryLostError)
            expect(there).to.equal(false)
          }))
        } else if (one !== undefined && entry.what === 'close') {
          one.history.close()
          open.splice(open.indexOf(one), 1)
        }
        check()
      }
      await settle()
      await Promise.all(reads)
      for (const { history, model } of open) if (model.length > 0) expect(await history.read(0, history.length)).to.deep.equal(Float32Array.from(model))
      for (const { history } of open) history.close()
      await settle()
      expect([store.memoryBytes, store.diskBytes, slots.size]).to.deep.equal([0, 0, 0])
    }), { seed: 5, numRuns: 400 })
    expect(gaveUp).to.be.greaterThan(50)
    expect(spilled).to.be.greaterThan(50)
  })
})
