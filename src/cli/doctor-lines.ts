import { milliseconds } from './format.ts'
import { describeUnits, runs, weakestUnits } from './units.ts'
import type { Diagnosis, Problem } from '../peer/index.ts'
import type { DoctorJson } from './json.ts'

// What `doctor` has found, in words and as JSON.

export function skewWords (skew: number | undefined): string {
  if (skew === undefined) return 'the clock could not be compared'
  return `the clock is ${milliseconds(Math.abs(skew))} ${skew < 0 ? 'behind' : 'ahead of'} that of the peers`
}

export function coverageLines ({ modelId, holders }: Diagnosis): string[] {
  if (modelId === undefined || holders === undefined) return []
  const least = Math.min(...holders)
  const weakest = runs(weakestUnits(holders)).map(range => describeUnits(range, holders.length - 2)).join(', ')
  return [`model ${modelId.slice(0, 12)}: every unit is served by ${least} or more ${least === 1 ? 'peer' : 'peers'}, least of all ${weakest}`]
}

export function problemWords (problem: Problem, { holders }: Diagnosis): string {
  switch (problem.kind) {
    case 'nobody': return 'no peer answers: name some with --join, and check that they run'
    case 'unreachable': return `others cannot reach a peer here: ${problem.reason}`
    case 'clock': return `the clock is ${milliseconds(Math.abs(problem.milliseconds))} ${problem.milliseconds < 0 ? 'behind' : 'ahead'}: others take announcements from here for ${problem.milliseconds < 0 ? 'old' : 'not yet made'}; set it, best by NTP`
    case 'peer': return `${problem.address}: ${problem.message}`
    case 'model': return `${problem.address}: hosts another model, ${problem.modelId.slice(0, 12)}…; peers of different models do not work together`
    case 'version': return `${problem.address}: runs ${problem.software}, others another version`
    case 'coverage': return `nobody serves ${runs(problem.missing).map(range => describeUnits(range, (holders?.length ?? 2) - 2)).join(', ')}`
  }
}

export function doctorJson (diagnosis: Diagnosis): DoctorJson {
  const { reachability, clockSkewMilliseconds, modelId, holders, peers, problems } = diagnosis
  return {
    reachability: { status: reachability.status, reason: reachability.reason, reports: reachability.reports },
    clockSkewMilliseconds: clockSkewMilliseconds ?? null,
    modelId: modelId ?? null,
    holders: holders ?? null,
    peers: peers.map(({ address, info, error }) => ({
      address, peerId: info?.peerId ?? null, software: info?.software ?? null, modelId: info?.hosted?.modelId ?? null, ranges: info?.hosted?.ranges.map(({ range }) => range) ?? [], error: error?.message ?? null
    })),
    problems: problems.map(problem => problemWords(problem, diagnosis))
  }
}
