import { expect } from 'chai'
import { writeFileSync } from 'node:fs'
import { lockDataDirectory } from '../../../src/cli/data-lock.ts'
import { readText, readTextFile } from '../../../src/cli/text-input.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { createTerminal } from './fake-terminal.ts'

/** What a promise is rejected with. */
async function rejection (promise: Promise<unknown>): Promise<Error> {
  return await promise.then(() => { throw new Error('was not rejected') }, error => error)
}

describe('cli/text-input', () => {
  const folder = temporaryFolder()

  it('refuses a folder, a missing file, and bytes that are no text', async () => {
    expect(await rejection(readTextFile(folder.path()))).to.include({ name: 'UsageError' }).and.property('message').match(/folder/)
    expect(await rejection(readTextFile(folder.path('none')))).to.include({ name: 'UsageError' })
    expect(await rejection(readTextFile(folder.write('bytes', Uint8Array.of(0x61, 0xff))))).to.include({ name: 'UsageError' }).and.property('message').match(/UTF-8/)
  })

  it('refuses two sources, and a terminal without either', async () => {
    expect(await rejection(readText(createTerminal(), 'a', 'b'))).to.include({ name: 'UsageError' })
    const terminal = createTerminal()
    terminal.stdin.isTTY = true
    expect(await rejection(readText(terminal, undefined, undefined))).to.include({ name: 'UsageError' })
  })

  it('reads an argument, a file, stdin, and - for stdin', async () => {
    expect(await readText(createTerminal(), 'ä', undefined)).to.equal('ä')
    expect(await readText(createTerminal(), undefined, folder.write('text', 'ä\n'))).to.equal('ä\n')
    expect(await readText(createTerminal({ input: 'ä' }), undefined, undefined)).to.equal('ä')
    expect(await readText(createTerminal({ input: 'ä' }), '-', undefined)).to.equal('ä')
    expect(await readText(createTerminal({ input: 'ä' }), undefined, '-')).to.equal('ä')
  })
})

describe('cli/data-lock', () => {
  const folder = temporaryFolder()

  it('refuses a directory whose holder lives, and names it', () => {
    const release = lockDataDirectory(folder.path('held'))
    expect(() => lockDataDirectory(folder.path('held'))).to.throw(new RegExp(`process ${process.pid}`)).with.property('code', 'ERR_DATA_DIRECTORY_IN_USE')
    release()
    lockDataDirectory(folder.path('held'))()
  })

  it('takes over a lock that is broken or whose holder is gone', () => {
    for (const content of ['', 'x', '-1', '0', '4194305']) {
      lockDataDirectory(folder.path('left'))()
      writeFileSync(folder.path('left/peer.lock'), content)
      lockDataDirectory(folder.path('left'))()
    }
  })
})
