import { expect } from 'chai'
import { repairLine, waitingLine } from '../../../src/cli/repair-lines.ts'
import type { RouteRepair, StageDescription } from '../../../src/peer/index.ts'

const stage = (stage: number, peerId: string): StageDescription => ({ stage, peerId, local: false, range: { from: stage, to: stage + 1 } })
const repair = (change: Partial<RouteRepair>): RouteRepair => ({ failures: [new Error('gone')], lost: [stage(2, '12D3KooWaaaabbbbcccc')], replacements: [stage(2, '12D3KooWddddeeeeffff')], route: [], milliseconds: 80.2, replayedPositions: 12, attempts: 1, ...change })

describe('cli/repair lines', () => {
  it('say who was lost and who goes on', () => {
    expect(repairLine(repair({}))).to.equal('stage 2 (peer …bbbbcccc) was lost; …eeeeffff continues, 12 positions replayed in 80 ms')
    expect(repairLine(repair({ failures: [] }))).to.equal('stage 2 (peer …bbbbcccc) is leaving; …eeeeffff continues, 12 positions replayed in 80 ms')
    expect(repairLine(repair({ lost: [stage(2, 'xaaaaaaaa'), stage(4, 'xbbbbbbbb')], replacements: [stage(2, 'xcccccccc')] })))
      .to.equal('stages 2, 4 (peers …aaaaaaaa, …bbbbbbbb) were lost; …cccccccc continues, 12 positions replayed in 80 ms')
    expect(repairLine(repair({ replacements: [stage(2, 'xcccccccc'), stage(3, 'xdddddddd')], replayedPositions: 1 })))
      .to.equal('stage 2 (peer …bbbbcccc) was lost; …cccccccc, …dddddddd continue, 1 position replayed in 80 ms')
  })

  it('say what was transferred, and what was predicted', () => {
    const handOver = { method: 'split' as const, positions: 400, split: 300, transferredPositions: 1100, predictedSeconds: 0.31, measuredSeconds: 0.335 }
    expect(repairLine(repair({ failures: [], handOver })))
      .to.equal('stage 2 (peer …bbbbcccc) is leaving; …eeeeffff continues, 12 positions replayed and 1,100 transferred in 80 ms (split: 310 ms predicted, 335 ms measured)')
    expect(repairLine(repair({ failures: [], handOver: { ...handOver, transferredPositions: 0, problem: 'keys and values were not moved: it took too long' } })))
      .to.equal('stage 2 (peer …bbbbcccc) is leaving; …eeeeffff continues, 12 positions replayed in 80 ms (keys and values were not moved: it took too long)')
    expect(repairLine(repair({ failures: [], handOver: { ...handOver, predictedSeconds: undefined } })))
      .to.equal('stage 2 (peer …bbbbcccc) is leaving; …eeeeffff continues, 12 positions replayed and 1,100 transferred in 80 ms')
  })

  it('say where nobody was lost but a connection', () => {
    const lost = Object.assign(new Error('cut'), { peerId: '12D3KooWaaaabbbbcccc' })
    expect(repairLine(repair({ failures: [lost], lost: [], replacements: [], route: [stage(1, 'other'), stage(2, '12D3KooWaaaabbbbcccc')], replayedPositions: 0 })))
      .to.equal('the connection to stage 2 (peer …bbbbcccc) was lost; the same peers continue, 0 positions replayed in 80 ms')
  })

  it('say what is waited for', () => {
    expect(waitingLine([3, 4], 8)).to.equal('waiting for a peer that hosts layers 2:4 …')
    expect(waitingLine([], 8)).to.equal('waiting for a peer that can go on …')
  })
})
