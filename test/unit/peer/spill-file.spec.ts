import { expect } from 'chai'
import { readdirSync } from 'node:fs'
import { createSpillFile } from '../../../src/peer/stage/history/spill-file.ts'
import { rejection } from '../../support/rejection.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const bytes = (seed: number): Uint8Array => Uint8Array.from({ length: 64 }, (_value, index) => index + seed)

describe('peer/stage: file of kept outputs', () => {
  const folder = temporaryFolder()

  async function read (file: ReturnType<typeof createSpillFile>, slot: number, offset = 0, length = 64): Promise<Uint8Array> {
    const into = new Uint8Array(length)
    await file.read(slot, offset, into)
    return into
  }

  it('refuses what was not written, and everything once it is closed', async () => {
    const file = createSpillFile(64, folder.path())
    expect((await rejection(read(file, 0))).message).to.contain('nothing was written')
    await file.write(0, bytes(0))
    expect((await rejection(read(file, 1))).message).to.contain('ends too early')
    await file.close()
    expect((await rejection(file.write(0, bytes(0)))).message).to.contain('closed')
    expect((await rejection(read(file, 0))).message).to.contain('nothing was written')
    const nowhere = createSpillFile(64, folder.path('missing'))
    expect((await rejection(nowhere.write(0, bytes(0))) as NodeJS.ErrnoException).code).to.equal('ENOENT')
    await nowhere.close()
  })

  it('gives back what was written, from a file without a name', async () => {
    const directory = folder.path()
    const file = createSpillFile(64, directory)
    expect(readdirSync(directory)).to.deep.equal([])
    await Promise.all([3, 0, 1].map(async slot => await file.write(slot, bytes(slot))))
    expect(readdirSync(directory)).to.deep.equal([])
    expect(await Promise.all([3, 0, 1].map(async slot => await read(file, slot)))).to.deep.equal([3, 0, 1].map(bytes))
    expect(await read(file, 3, 8, 4)).to.deep.equal(bytes(3).subarray(8, 12))
    await file.write(3, bytes(9))
    expect(await read(file, 3)).to.deep.equal(bytes(9))
    file.clear()
    expect((await rejection(read(file, 3))).message).to.contain('nothing was written')
    await file.write(0, bytes(5))
    expect(await read(file, 0)).to.deep.equal(bytes(5))
    await file.close()
    await file.close()
  })
})
