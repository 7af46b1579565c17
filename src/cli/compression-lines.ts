import { bytes, percent, plural, table } from './format.ts'
import { describeUnits } from './units.ts'
import type { CompressJson } from './json.ts'

/** The report of a compression: a line for each matrix, then the totals. */
export function compressionLines (report: CompressJson, layerCount: number): string[] {
  const rows = report.matrices.map(({ unit, role, rows, columns, mode, base, rank, order, bytes: size, errors }) => [
    describeUnits({ from: unit, to: unit + 1 }, layerCount),
    role,
    `${rows} × ${columns}`,
    mode,
    base ?? '',
    rank === 0 ? '' : String(rank),
    order ?? '',
    bytes(size),
    percent(errors.weighted),
    percent(errors.frobenius)
  ])
  const counts = new Map<string, number>()
  for (const { mode, rank } of report.matrices) {
    const name = rank === 0 ? mode : `${mode} ${rank}`
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const { source, calibration } = report
  return [
    ...table([['unit', 'matrix', 'shape', 'mode', 'base', 'rank', 'order', 'bytes', 'weighted', 'Frobenius'], ...rows], ''),
    '',
    ...table([
      ['stored', `${bytes(report.package.bytes)} of ${bytes(source.bytes)}, ${report.bitsPerWeight.toFixed(3)} bits per weight`],
      ['modes', [...counts].map(([name, count]) => `${count} ${name}`).join(', ')],
      ...(report.expectedDivergence === null ? [] : [['expected', `${report.expectedDivergence.toPrecision(3)} nats from the source a token`]]),
      ['calibrated', `on ${plural(calibration.tokens, 'token')}, ${calibration.heldOutTokens.toLocaleString('en')} held out; text ${calibration.sha256.slice(0, 12)}`],
      ['model', report.package.modelId]
    ], '')
  ]
}
