import { API_TIMEOUT, DEFAULT_REVISION, MAX_API_BYTES, MAX_LISTED_FILES } from './constants.ts'
import type { HubSettings } from './environment.ts'
import { HubAccessError, HubNotFoundError, HubResponseError, HubUnreachableError, PullError } from './errors.ts'
import { readListedFile } from './hub-listing.ts'
import type { HubFile } from './hub-listing.ts'
import { COMMIT } from './reference.ts'

/** What the hub is asked with. */
export interface HubConnection {
  settings: HubSettings
  fetch: typeof fetch
  signal?: AbortSignal
}

/** The commit that a branch or tag stands for now. */
export async function findCommit (connection: HubConnection, repository: string, revision = DEFAULT_REVISION): Promise<string> {
  // loaded only when needed: it takes 90 ms, and most starts find their model on disk
  const { modelInfo } = await import('@huggingface/hub')
  const { sha } = await ask(repository, async () => await modelInfo({
    name: repository,
    revision,
    additionalFields: ['sha'],
    hubUrl: connection.settings.url,
    fetch: guardedFetch(connection, revision === DEFAULT_REVISION ? repository : `${repository}@${revision}`)
  }))
  if (typeof sha !== 'string' || !COMMIT.test(sha)) throw new HubResponseError(repository, 'sha: not a commit')
  return sha
}

/** Files of one folder of a repository at a commit. */
export async function listFolder (connection: HubConnection, repository: string, commit: string, folder?: string): Promise<HubFile[]> {
  const { listFiles } = await import('@huggingface/hub')
  return await ask(repository, async () => {
    const files: HubFile[] = []
    let count = 0
    for await (const entry of listFiles({
      repo: { type: 'model', name: repository },
      revision: commit,
      path: folder,
      hubUrl: connection.settings.url,
      fetch: guardedFetch(connection, repository)
    })) {
      if (++count > MAX_LISTED_FILES) throw new HubResponseError(repository, `more than ${MAX_LISTED_FILES} files in a folder`)
      const file = readListedFile(repository, entry)
      if (file !== undefined) files.push(file)
    }
    return files
  })
}

/** Address of a file's content. */
export function contentUrl (settings: HubSettings, repository: string, commit: string, path: string): string {
  return `${settings.url}/${repository}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`
}

/** Headers for a request to the hub; `fetch` drops the token when it is redirected to another host. */
export function requestHeaders (settings: HubSettings): Record<string, string> {
  return settings.token === undefined ? {} : { authorization: `Bearer ${settings.token}` }
}

/** Gives what the client library throws about a malformed answer a name. */
async function ask<T> (subject: string, question: () => Promise<T>): Promise<T> {
  try {
    return await question()
  } catch (error) {
    if (error instanceof PullError) throw error
    throw new HubResponseError(subject, error instanceof Error ? error.message : String(error), { cause: error })
  }
}

/**
 * A `fetch` for the client library that adds what it lacks: a time limit, a
 * limit of the answer's size, errors that say what to do, and the token sent to
 * the hub's own host only (a listing's next page is an address from the answer).
 */
function guardedFetch (connection: HubConnection, subject: string): typeof fetch {
  const { settings, signal } = connection
  const { origin, host } = new URL(settings.url)
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input)
    if (url.origin !== origin) throw new HubResponseError(subject, `link to another host (${url.host})`)
    const limit = AbortSignal.timeout(API_TIMEOUT)
    try {
      const response = await connection.fetch(url, {
        ...init,
        headers: { ...init?.headers as Record<string, string>, ...requestHeaders(settings) },
        signal: signal === undefined ? limit : AbortSignal.any([signal, limit])
      })
      if (!response.ok) {
        await response.body?.cancel()
        throw refusal(response, subject, settings)
      }
      const headers = new Headers(response.headers)
      headers.delete('content-encoding')
      return new Response(await readBounded(response, subject), { status: response.status, headers })
    } catch (error) {
      if (error instanceof PullError || signal?.aborted) throw error
      throw new HubUnreachableError(host, limit.aborted ? `no answer within ${API_TIMEOUT / 1000} s` : reasonOf(error), { cause: error })
    }
  }
}

/** The error for an answer that is none. */
export function refusal (response: Response, subject: string, settings: HubSettings): PullError {
  const { status } = response
  const { host } = new URL(settings.url)
  if (status === 401 || status === 403) return new HubAccessError(subject, status, settings.token !== undefined)
  if (status === 404) {
    const missing = response.headers.get('x-error-code') === 'RevisionNotFound' ? 'no such revision on the hub' : 'not found on the hub'
    return new HubNotFoundError(subject, missing)
  }
  if (status === 407 || status === 429 || status >= 500) return new HubUnreachableError(host, `it answers ${status}`)
  return new HubResponseError(subject, `status ${status}`)
}

async function readBounded (response: Response, subject: string): Promise<Buffer<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let total = 0
  for await (const chunk of response.body ?? []) {
    total += chunk.length
    if (total > MAX_API_BYTES) throw new HubResponseError(subject, `longer than ${MAX_API_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The innermost message: `fetch failed` alone tells nobody anything. */
export function reasonOf (error: unknown): string {
  let inner = error
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause
  if (inner instanceof AggregateError && inner.errors[0] instanceof Error) inner = inner.errors[0]
  return inner instanceof Error ? inner.message : String(inner)
}
