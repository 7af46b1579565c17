import { expect } from 'chai'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const src = fileURLToPath(new URL('../../src/', import.meta.url))

/** Folders under src in the order of their arrows: a folder may import from those after it. */
const LAYERS = ['cli', 'peer', 'partition', 'svd', 'engine', 'model']

/** Doors besides each folder's index.ts, for code that should not load the whole folder. */
const INNER_DOORS = [join('model', 'tensor', 'index.ts')]

interface Import {
  from: string
  to: string
}

/** Relative imports of all source files, as paths inside src. */
function imports (): Import[] {
  return globSync('**/*.ts', { cwd: src, exclude: ['engine/kernels/**'] }).flatMap(file => {
    const text = readFileSync(join(src, file), 'utf8')
    return [...text.matchAll(/(?:from|import) ?\(?'(\.[^']+)'/g)].map(([, target]) => ({
      from: file, to: relative(src, join(src, dirname(file), target))
    }))
  })
}

describe('structure of src', function () {
  const all = imports()
  const crossing = all.filter(({ from, to }) => from.includes(sep) && from.split(sep)[0] !== to.split(sep)[0])

  it('is seen at all', function () {
    expect(all.length).to.be.above(200)
    expect(crossing.length).to.be.above(20)
  })

  it('has one door a folder', function () {
    const wrong = crossing.filter(({ to }) => !/^[^/\\]+[/\\]index\.ts$/.test(to) && !INNER_DOORS.includes(to))
    expect(wrong.filter(({ to }) => to.includes(sep))).to.deep.equal([])
  })

  it('has arrows that go one way', function () {
    const layer = (path: string) => LAYERS.indexOf(path.split(sep)[0])
    const wrong = crossing.filter(({ from, to }) => to.includes(sep) && layer(to) <= layer(from))
    expect(wrong).to.deep.equal([])
  })
})
