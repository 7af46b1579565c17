import { milliseconds, plural, shortPeerId } from './format.ts'
import { describeUnits } from './units.ts'
import type { HandOverReport, RouteRepair, StageDescription } from '../peer/index.ts'

/** How a text went on after a peer was lost, in one line. */
export function repairLine ({ failures, lost, replacements, route, replayedPositions, milliseconds: taken, handOver }: RouteRepair): string {
  const replayed = `${plural(replayedPositions, 'position')} replayed${moved(handOver)} in ${milliseconds(taken)}${predicted(handOver)}`
  if (lost.length === 0) return `the connection to ${names(failed(failures, route))} was lost; the same peers continue, ${replayed}`
  const { were, leave, go } = lost.length === 1 ? { were: 'was', leave: 'is leaving', go: 'continues' } : { were: 'were', leave: 'are leaving', go: 'continue' }
  const verb = replacements.length === 1 ? 'continues' : replacements.length === 0 ? go : 'continue'
  const others = replacements.map(({ peerId }) => shortPeerId(peerId ?? '')).join(', ')
  return `${names(lost)} ${failures.length === 0 ? leave : `${were} lost`}; ${others === '' ? 'the others' : others} ${verb}, ${replayed}`
}

/** Keys and values that came from the peer that leaves. */
function moved (handOver: HandOverReport | undefined): string {
  return handOver === undefined || handOver.transferredPositions === 0 ? '' : ` and ${handOver.transferredPositions.toLocaleString('en')} transferred`
}

function predicted (handOver: HandOverReport | undefined): string {
  if (handOver?.problem !== undefined) return ` (${handOver.problem})`
  if (handOver?.predictedSeconds === undefined) return ''
  return ` (${handOver.method}: ${milliseconds(1000 * handOver.predictedSeconds)} predicted, ${milliseconds(1000 * handOver.measuredSeconds)} measured)`
}

/** What is waited for. */
export function waitingLine (missing: readonly number[], layerCount: number): string {
  if (missing.length === 0) return 'waiting for a peer that can go on …'
  return `waiting for a peer that hosts ${describeUnits({ from: missing[0], to: missing[missing.length - 1] + 1 }, layerCount)} …`
}

function failed (failures: readonly Error[], route: readonly StageDescription[]): StageDescription[] {
  const accused = route.filter(({ peerId }) => failures.some(failure => (failure as { peerId?: string }).peerId === peerId))
  return accused.length > 0 ? accused : [...route]
}

function names (stages: readonly StageDescription[]): string {
  const list = stages.map(({ stage, peerId }) => ({ stage, peer: shortPeerId(peerId ?? '') }))
  return list.length === 1
    ? `stage ${list[0].stage} (peer ${list[0].peer})`
    : `stages ${list.map(({ stage }) => stage).join(', ')} (peers ${list.map(({ peer }) => peer).join(', ')})`
}
