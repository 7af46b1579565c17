import { expect } from 'chai'
import { plotReport } from '../../../src/svd/index.ts'
import type { MatrixReport } from '../../../src/svd/index.ts'

function report (unit: number, role: MatrixReport['role'], weighted: number | null, rank: number): MatrixReport {
  return { unit, role, rows: 8, columns: 8, mode: 'q4+svd', base: 'Q4_0', rank, order: 'residual', bytes: 1, errors: { weighted, frobenius: 0.1 }, shrinkage: 0 }
}

describe('svd/compress, plot', () => {
  it('draws a line for each kind of matrix in both panels, a point for each layer', () => {
    const matrices = [1, 2, 3].flatMap(unit => [report(unit, 'query', 0.01 * unit, 8 * unit), report(unit, 'down', 0.02, 16)])
    const svg = plotReport('a model', [report(0, 'embedding', null, 0), ...matrices])
    expect(svg).to.match(/^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/).and.match(/<\/svg>\n$/)
    const points = [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, list]) => list.split(' ').filter(point => point !== '').length)
    expect(points.filter(count => count > 0)).to.deep.equal([3, 3, 3, 3])
    // larger is higher
    const [first] = [...svg.matchAll(/<polyline points="([^"]+)"/g)].map(([, list]) => list.split(' ').map(point => Number(point.split(',')[1])))
    expect(first[0]).to.be.above(first[1])
    expect(first[1]).to.be.above(first[2])
    expect(svg).to.not.include('NaN')
  })

  it('shows titles as text, and nothing where there is nothing', () => {
    const svg = plotReport('<script>"&"', [])
    expect(svg).to.not.include('<script>')
    expect(svg).to.include('&#60;script&#62;').and.not.include('NaN')
  })
})
