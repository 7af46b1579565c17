import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { PullOptions } from './types.ts'

type Environment = Record<string, string | undefined>

/** Where the hub is and how to speak to it, from options and the hub's standard variables. */
export interface HubSettings {
  url: string
  cacheDirectory: string
  token?: string
  offline: boolean
}

/** Reads options first, then variables, then the token file. */
export async function hubSettings (options: PullOptions): Promise<HubSettings> {
  const environment = options.environment ?? process.env
  return {
    url: (options.hubUrl ?? (environment.HF_ENDPOINT || (await import('@huggingface/hub')).HUB_URL)).replace(/\/+$/, ''),
    cacheDirectory: options.hubCacheDirectory ?? hubCacheDirectory(environment),
    token: options.token ?? await findToken(environment),
    offline: isSet(environment.HF_HUB_OFFLINE)
  }
}

/**
 * Cache folder that programs share, by the hub's variables
 * (https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables).
 */
export function hubCacheDirectory (environment: Environment = process.env): string {
  return environment.HF_HUB_CACHE || environment.HUGGINGFACE_HUB_CACHE || join(hubHome(environment), 'hub')
}

function hubHome (environment: Environment): string {
  if (environment.HF_HOME) return environment.HF_HOME
  return join(environment.XDG_CACHE_HOME || join(environment.HOME || homedir(), '.cache'), 'huggingface')
}

async function findToken (environment: Environment): Promise<string | undefined> {
  if (isSet(environment.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined
  const given = environment.HF_TOKEN || environment.HUGGING_FACE_HUB_TOKEN
  if (given) return given.trim()
  try {
    const text = await readFile(environment.HF_TOKEN_PATH || join(hubHome(environment), 'token'), 'utf8')
    return text.trim() || undefined
  } catch {
    // no token file: public models need none
    return undefined
  }
}

/** What the hub's own clients take for true. */
function isSet (value: string | undefined): boolean {
  return /^(1|true|yes|on)$/i.test(value ?? '')
}
