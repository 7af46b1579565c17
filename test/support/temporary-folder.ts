import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder that is removed after the suite that asked for it. */
export function temporaryFolder (): { path: (name?: string) => string, write: (name: string, content: string | Uint8Array) => string } {
  let folder = ''
  before(function () { folder = mkdtempSync(join(tmpdir(), 'efedllm-test-')) })
  after(function () { rmSync(folder, { recursive: true, force: true }) })
  const path = (name = ''): string => join(folder, name)
  return {
    path,
    write: (name, content) => {
      writeFileSync(path(name), content)
      return path(name)
    }
  }
}
