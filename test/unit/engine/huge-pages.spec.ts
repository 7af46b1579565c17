import { expect } from 'chai'
import { existsSync, readFileSync } from 'node:fs'
import { askForHugePages } from '../../../src/engine/wasm/huge-pages.ts'

const MEGABYTE = 2 ** 20

/** Bytes of this process that the system may give in large pages (`hg`). */
function advised (): number {
  const parts = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
  return parts.filter(part => /^VmFlags:.* hg\b/m.test(part)).reduce((sum, part) => sum + Number(/^Size:\s+(\d+) kB/m.exec(part)![1]) * 1024, 0)
}

describe('engine: large pages', () => {
  const pages = 16 * MEGABYTE / 65_536
  const create = () => new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })

  it('are asked for where the system has them, for the whole of a memory', function () {
    if (!existsSync('/sys/kernel/mm/transparent_hugepage/enabled') || !existsSync('/proc/self/smaps')) this.skip()
    const before = advised()
    const memory = create()
    // without the optional package that calls the system nothing happens
    if (!askForHugePages(memory)) this.skip()
    expect(advised() - before).to.be.at.least(16 * MEGABYTE)
    expect(new Uint8Array(memory.buffer).every(byte => byte === 0)).to.equal(true)
  })
})
