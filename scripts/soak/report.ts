/** What a run has shown; pure. */
import { maximum, median, tableLines } from '../figures.ts'
import type { Outcome } from './client.ts'
import type { Trend } from './needs.ts'

export interface Run {
  seconds: number
  counts: { kills: number, starts: number, gaps: number, cuts: number, freezes: number, gapSeconds: number }
  outcome: Outcome
  trends: Trend[]
  /** of peers, whenever they were asked */
  residentBytes: readonly number[]
  oddities: string[]
}

export interface Report extends Omit<Run, 'outcome' | 'residentBytes'> {
  tokens: number
  tokensPerSecond: number
  sessions: number
  texts: number
  wrong: string[]
  unclear: string[]
  refused: Record<string, number>
  interrupted: Record<string, number>
  interruptions: string[]
  lost: number
  repairs: { number: number, median: number, worst: number }
  /** what a reader sees of a repair; and of one that had to wait for somebody to host a layer */
  pauses: { number: number, median: number, worst: number }
  waits: { number: number, median: number, worst: number }
  residentBytesMedian: number
  /** bars that do not hold, in words */
  broken: string[]
}

/** What grows in shorter runs are caches and pools. */
const LEAST_SECONDS_FOR_TRENDS = 480

export function summarise ({ outcome, residentBytes, ...run }: Run): Report {
  const { tokens, sessions, texts, wrong, unclear, refused, interrupted, interruptions, lost } = outcome
  const spread = (values: number[]) => ({ number: values.length, median: values.length === 0 ? 0 : median(values), worst: values.length === 0 ? 0 : maximum(values) })
  const grown = run.seconds < LEAST_SECONDS_FOR_TRENDS ? [] : run.trends.filter(({ flat }) => !flat)
  const bars: Array<[boolean, string]> = [
    [texts > 0, 'no text came to its end'],
    [wrong.length === 0, `${wrong.length} tokens are wrong`],
    [unclear.length === 0, `${unclear.length} sessions were lost without a clear error`],
    [run.oddities.length === 0, `${run.oddities.length} processes ended or said what they should not`],
    ...grown.map(({ name }): [boolean, string] => [false, `${name} has grown`])
  ]
  return {
    ...run,
    tokens,
    tokensPerSecond: tokens / run.seconds,
    sessions,
    texts,
    wrong,
    unclear,
    refused,
    interrupted,
    interruptions,
    lost,
    repairs: spread(outcome.repairMilliseconds),
    pauses: spread(outcome.pauses),
    waits: spread(outcome.waits),
    residentBytesMedian: residentBytes.length === 0 ? 0 : median(residentBytes),
    broken: bars.flatMap(([holds, words]) => holds ? [] : words)
  }
}

export function reportLines (report: Report): string[] {
  const { counts, pauses, waits, repairs } = report
  const milliseconds = (value: number): string => value < 1000 ? `${value.toFixed(0)} ms` : `${(value / 1000).toFixed(1)} s`
  const figure = (name: string, value: number): string => name.endsWith('Bytes') ? `${(value / 1e6).toFixed(1)} MB` : String(value)
  const codes = (record: Record<string, number>): string => Object.entries(record).map(([code, number]) => `${number} ${code}`).join(', ') || 'none'
  return [
    `${(report.seconds / 60).toFixed(1)} minutes: ${counts.kills} kills and ${counts.starts} starts, ${counts.cuts} links cut and ${counts.freezes} frozen; ${counts.gaps} times nobody hosted some layers, ${counts.gapSeconds.toFixed(0)} s in all`,
    `${report.tokens} tokens (${report.tokensPerSecond.toFixed(0)} a second), ${report.texts} texts in ${report.sessions} sessions: ${report.wrong.length} tokens wrong, ${report.unclear.length} sessions lost without a clear error`,
    `openings refused: ${codes(report.refused)}; steps that failed: ${codes(report.interrupted)}; sessions given up after them: ${report.lost}`,
    `${repairs.number} repairs, median ${milliseconds(repairs.median)}, worst ${milliseconds(repairs.worst)}`,
    `pauses that a reader sees: ${pauses.number}, median ${milliseconds(pauses.median)}, worst ${milliseconds(pauses.worst)}; where somebody had to come first: ${waits.number}, median ${milliseconds(waits.median)}, worst ${milliseconds(waits.worst)}`,
    `a peer needs ${(report.residentBytesMedian / 1e6).toFixed(0)} MB (median)`,
    '',
    ...tableLines([
      ['what', 'first third', 'last third', 'most', 'course', ''],
      ...report.trends.map(({ name, first, last, most, course, flat }) => [name, figure(name, first), figure(name, last), figure(name, most), course.map(value => name.endsWith('Bytes') ? Math.round(value / 1e6) : value).join(' '), flat ? 'flat' : 'GROWS'])
    ]),
    '',
    ...[...new Set(report.interruptions)].slice(0, 10),
    ...[...new Set(report.wrong)].slice(0, 10),
    ...[...new Set(report.unclear)].slice(0, 10),
    ...report.oddities.slice(0, 20),
    report.broken.length === 0 ? 'all bars hold' : `broken: ${report.broken.join('; ')}`
  ]
}
