/**
 * Where this software keeps things, by the XDG base directory specification
 * (https://specifications.freedesktop.org/basedir-spec/latest/). The variable
 * `EFEDLLM_DATA_DIR` puts everything of ours below one folder. The cache of the
 * Hugging Face hub is shared with other programs and follows its own variables.
 */
import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'

type Environment = Record<string, string | undefined>

/** Name of the one variable that overrides all folders. */
export const DATA_DIRECTORY_VARIABLE = 'EFEDLLM_DATA_DIR'

const FOLDER = 'efedllm'

/**
 * Folder for what must last: keys, pulled models, ledgers. It need not exist yet.
 *
 * @param environment variables to go by, those of the process where left out
 */
export function dataDirectory (environment: Environment = process.env): string {
  const own = environment[DATA_DIRECTORY_VARIABLE]
  if (own) return resolve(own)
  return join(base(environment, 'XDG_DATA_HOME', '.local/share'), FOLDER)
}

/** Folder for what can be made again. It need not exist yet. */
export function cacheDirectory (environment: Environment = process.env): string {
  const own = environment[DATA_DIRECTORY_VARIABLE]
  if (own) return join(resolve(own), 'cache')
  return join(base(environment, 'XDG_CACHE_HOME', '.cache'), FOLDER)
}

function base (environment: Environment, variable: string, fallback: string): string {
  const value = environment[variable]
  // the specification: a relative path is invalid and is to be ignored
  if (value && isAbsolute(value)) return value
  return join(environment.HOME || homedir(), fallback)
}
