import { LAYER_MATRICES } from '../calibration/index.ts'
import type { LayerMatrix } from '../calibration/index.ts'
import type { MatrixReport } from './types.ts'

const WIDTH = 860
const LEFT = 70
const RIGHT = 150
const PANEL = 200
const GAP = 50
const TOP = 40

/** Told apart by readers who see red and green alike (Okabe and Ito, 2008). */
const COLOURS: Record<LayerMatrix, string> = {
  query: '#0072b2',
  key: '#56b4e9',
  value: '#009e73',
  attentionOutput: '#f0e442',
  gate: '#e69f00',
  up: '#d55e00',
  down: '#cc79a7'
}

/**
 * An SVG picture of what compression did to each matrix of each layer: the
 * weighted error above, the rank of the correction below. Pure.
 *
 * @param matrices of a report; tables and vectors are left out
 */
export function plotReport (title: string, matrices: readonly MatrixReport[]): string {
  const shown = matrices.filter(({ role }) => (LAYER_MATRICES as readonly string[]).includes(role))
  const layers = Math.max(1, ...shown.map(({ unit }) => unit))
  const panels: Panel[] = [
    { label: 'weighted error, %', top: TOP, value: ({ errors }) => (errors.weighted ?? 0) * 100 },
    { label: 'rank', top: TOP + PANEL + GAP, value: ({ rank }) => rank }
  ]
  const height = TOP + 2 * PANEL + GAP + 50
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="${LEFT}" y="22" font-size="15">${escape(title)}</text>`,
    ...panels.flatMap(panel => drawPanel(panel, shown, layers)),
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${height - 8}" text-anchor="middle">layer</text>`,
    ...LAYER_MATRICES.flatMap((role, i) => [
      `<rect x="${WIDTH - RIGHT + 18}" y="${TOP + 20 * i}" width="12" height="12" fill="${COLOURS[role]}"/>`,
      `<text x="${WIDTH - RIGHT + 36}" y="${TOP + 20 * i + 11}">${role}</text>`
    ]),
    '</svg>',
    ''
  ].join('\n')
}

interface Panel {
  label: string
  top: number
  value: (matrix: MatrixReport) => number
}

function drawPanel ({ label, top, value }: Panel, matrices: MatrixReport[], layers: number): string[] {
  const step = niceStep(Math.max(0, ...matrices.map(value)) / 4)
  const most = step * 4
  const x = (unit: number) => LEFT + (WIDTH - LEFT - RIGHT) * (layers === 1 ? 0.5 : (unit - 1) / (layers - 1))
  const y = (number: number) => top + PANEL * (1 - number / most)
  const lines = [`<text x="18" y="${top + PANEL / 2}" text-anchor="middle" transform="rotate(-90 18 ${top + PANEL / 2})">${label}</text>`]
  for (let tick = 0; tick <= 4; tick++) {
    const at = round(y(tick * step))
    lines.push(`<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}" stroke="#ddd"/>`)
    lines.push(`<text x="${LEFT - 8}" y="${at + 4}" text-anchor="end">${Number((tick * step).toPrecision(6))}</text>`)
  }
  const every = Math.ceil(layers / 16)
  for (let unit = 1; unit <= layers; unit += every) {
    lines.push(`<text x="${round(x(unit))}" y="${top + PANEL + 16}" text-anchor="middle">${unit - 1}</text>`)
  }
  for (const role of LAYER_MATRICES) {
    const own = matrices.filter(matrix => matrix.role === role).sort((a, b) => a.unit - b.unit)
    const points = own.map(matrix => `${round(x(matrix.unit))},${round(y(value(matrix)))}`)
    lines.push(`<polyline points="${points.join(' ')}" fill="none" stroke="${COLOURS[role]}" stroke-width="1.5"/>`)
    for (const point of points) {
      const [cx, cy] = point.split(',')
      lines.push(`<circle cx="${cx}" cy="${cy}" r="2.5" fill="${COLOURS[role]}"/>`)
    }
  }
  return lines
}

/** The least of 1, 2, 2.5, 5 times a power of ten that is not below `value`. */
function niceStep (value: number): number {
  if (!(value > 0)) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return power * [1, 2, 2.5, 5, 10].find(factor => factor * power >= value)!
}

function round (value: number): number {
  return Math.round(value * 10) / 10
}

function escape (text: string): string {
  return text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`)
}
