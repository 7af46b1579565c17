import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../../shared/', import.meta.url))

/** Path of evaluation data that is kept beside the project, or undefined where it is absent. */
export function sharedPath (...parts: string[]): string | undefined {
  const path = root + parts.join('/')
  return existsSync(path) ? path : undefined
}
