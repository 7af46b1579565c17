import { plural, shortPeerId, table } from './format.ts'
import { describeUnits, weakestUnits } from './units.ts'
import type { Survey } from '../peer/index.ts'
import type { StatusJson } from './json.ts'

// What `status` and `peers` have found, in words and as JSON.

/** One line for each run of units that equally many peers serve; the weakest are marked. */
export function coverageTable ({ modelId, holders }: Survey): string[] {
  if (modelId === undefined || holders === undefined) return ['nobody hosts a model']
  const weakest = new Set(weakestUnits(holders))
  const rows: string[][] = []
  for (let from = 0; from < holders.length;) {
    let to = from + 1
    while (to < holders.length && holders[to] === holders[from]) to++
    const count = holders[from]
    rows.push([describeUnits({ from, to }, holders.length - 2), count === 0 ? 'nobody' : plural(count, 'peer'), weakest.has(from) ? 'weakest' : ''])
    from = to
  }
  return [`model ${modelId.slice(0, 12)}`, ...table(rows)]
}

export function peerTable ({ peers }: Survey): string[] {
  const rows = peers.map(({ address, info, error, roundTripMilliseconds }) => {
    const place = address.replace(/\/p2p\/[^/]+$/, '')
    if (info === undefined) return ['?', place, '', '', error?.message ?? '']
    const { hosted } = info
    const ranges = hosted?.ranges.map(({ range, state }) => describeUnits(range, hosted.manifest.architecture.layerCount) + (state === 'serving' ? '' : ` (${state})`)) ?? []
    return [
      `peer ${shortPeerId(info.peerId)}`,
      place,
      roundTripMilliseconds === undefined ? '' : roundTripMilliseconds < 1 ? 'under 1 ms' : `${roundTripMilliseconds} ms`,
      hosted === undefined ? '' : `${plural(hosted.sessions, 'session')}, ${plural(hosted.freePositions, 'position')} free`,
      ranges.length === 0 ? 'hosts nothing' : ranges.join('; ')
    ]
  })
  return table(rows, '')
}

export function statusJson ({ modelId, holders, peers }: Survey): StatusJson {
  return {
    modelId: modelId ?? null,
    holders: holders ?? null,
    weakest: holders === undefined ? [] : weakestUnits(holders),
    peers: peers.map(({ address, info, error, roundTripMilliseconds }) => ({
      address,
      peerId: info?.peerId ?? null,
      software: info?.software ?? null,
      modelId: info?.hosted?.modelId ?? null,
      ranges: info?.hosted?.ranges.map(({ range: { from, to }, state }) => ({ from, to, state })) ?? [],
      sessions: info?.hosted?.sessions ?? null,
      queuedSteps: info?.hosted?.queuedSteps ?? null,
      freePositions: info?.hosted?.freePositions ?? null,
      roundTripMilliseconds: roundTripMilliseconds ?? null,
      error: error?.message ?? null
    }))
  }
}
