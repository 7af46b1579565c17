import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { crc32, deflateRawSync } from 'node:zlib'

/** A folder for one test. */
export function temporaryFolder (): { path: string, remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'efedllm-pull-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** Relative paths of everything below a folder that is no folder. */
export function filesBelow (folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => !entry.isDirectory())
    .map(entry => relative(folder, join(entry.parentPath, entry.name)).split('\\').join('/'))
    .sort()
}

export function sha256 (bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

export function gitObject (bytes: Uint8Array): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
}

/** Bytes that look random and are the same every time. */
export function noise (length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

interface Repository {
  revisions: Record<string, string>
  files: Record<string, Buffer>
}

type Handler = (request: IncomingMessage, response: ServerResponse) => boolean

/**
 * Speaks the endpoints of the hub that a pull uses: revision, tree in pages,
 * resolve with a redirect to a second host for large files, HEAD and ranges.
 */
export class FakeHub {
  readonly repositories: Record<string, Repository> = {}
  /** `METHOD path range` of every request, in order; contents are served under /cdn/ */
  readonly requests: string[] = []
  /** authorization header of the last request to each host */
  readonly tokens: { hub?: string, content?: string } = {}
  /** looked at first; true where it has answered */
  intercept: Handler = () => false
  /** files of one page of a listing */
  pageSize = 1000
  /** ends the connection after this many bytes of each content answer */
  cutAfter = Infinity
  /** answers a range request with the whole */
  ignoresRanges = false
  /** what is sent instead of a file's bytes */
  readonly corrupted: Record<string, Buffer> = {}
  private readonly hub: Server
  private readonly content: Server

  constructor () {
    this.hub = createServer((request, response) => this.answer(request, response))
    this.content = createServer((request, response) => this.serve(request, response))
  }

  async start (): Promise<void> {
    for (const server of [this.hub, this.content]) {
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    }
  }

  async stop (): Promise<void> {
    for (const server of [this.hub, this.content]) {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }

  get url (): string {
    return addressOf(this.hub)
  }

  /** Paths of contents that were asked for, with the range where there was one. */
  get contentRequests (): string[] {
    return this.requests.filter(line => line.includes(' /cdn/') || (line.includes('/resolve/') && !this.isLarge(line)))
      .map(line => line.replace(/^GET (\/cdn)?\/\S*?\/[0-9a-f]{40}\//, ''))
  }

  private isLarge (line: string): boolean {
    return /\.(safetensors|gguf)( |$)/.test(line)
  }

  private answer (request: IncomingMessage, response: ServerResponse): void {
    this.note(request)
    this.tokens.hub = request.headers.authorization
    if (this.intercept(request, response)) return
    const url = new URL(request.url!, this.url)
    const path = decodeURIComponent(url.pathname)
    const revision = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/(.+)$/.exec(path)
    if (revision !== null) return this.answerRevision(response, revision[1], revision[2])
    const tree = /^\/api\/models\/([^/]+\/[^/]+)\/tree\/([0-9a-f]{40})(?:\/(.+))?$/.exec(path)
    if (tree !== null) return this.answerTree(response, url, tree[1], tree[2], tree[3])
    const resolve = /^\/([^/]+\/[^/]+)\/resolve\/([0-9a-f]{40})\/(.+)$/.exec(path)
    if (resolve !== null) return this.answerResolve(request, response, resolve[1], resolve[2], resolve[3])
    fail(response, 404, 'EntryNotFound')
  }

  private answerRevision (response: ServerResponse, name: string, revision: string): void {
    const repository = this.repositories[name]
    if (repository === undefined) return fail(response, 404, 'RepoNotFound')
    const sha = repository.revisions[revision] ?? Object.values(repository.revisions).find(commit => commit === revision)
    if (sha === undefined) return fail(response, 404, 'RevisionNotFound')
    json(response, { _id: '1', id: name, sha, private: false, gated: false, likes: 0, downloads: 0, lastModified: '2025-01-01T00:00:00.000Z' })
  }

  private answerTree (response: ServerResponse, url: URL, name: string, commit: string, folder = ''): void {
    const repository = this.repositories[name]
    if (repository === undefined || !Object.values(repository.revisions).includes(commit)) return fail(response, 404, 'RepoNotFound')
    const prefix = folder === '' ? '' : `${folder}/`
    const entries = Object.entries(repository.files).filter(([path]) => path.startsWith(prefix)).map(([path, bytes]) => {
      const inner = path.slice(prefix.length).split('/')
      if (inner.length > 1) return { type: 'directory', path: prefix + inner[0], size: 0, oid: gitObject(Buffer.from(path)) }
      const large = this.isLarge(path)
      return {
        type: 'file',
        path,
        size: bytes.length,
        oid: gitObject(large ? Buffer.from('pointer') : bytes),
        ...(large && { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 134 }, xetHash: 'f'.repeat(64) })
      }
    })
    const start = Number(url.searchParams.get('cursor') ?? 0)
    const next = new URL(url)
    next.searchParams.set('cursor', String(start + this.pageSize))
    if (start + this.pageSize < entries.length) response.setHeader('link', `<${next.href}>; rel="next"`)
    json(response, entries.slice(start, start + this.pageSize))
  }

  private answerResolve (request: IncomingMessage, response: ServerResponse, name: string, commit: string, path: string): void {
    const bytes = this.repositories[name]?.files[path]
    if (bytes === undefined) return fail(response, 404, 'EntryNotFound')
    response.setHeader('x-repo-commit', commit)
    if (!this.isLarge(path)) {
      response.setHeader('etag', `"${gitObject(bytes)}"`)
      return this.send(request, response, path, bytes)
    }
    response.setHeader('x-linked-etag', `"${sha256(bytes)}"`)
    response.setHeader('x-linked-size', bytes.length)
    response.writeHead(302, { location: `${addressOf(this.content)}/cdn/${name}/${commit}/${path}` }).end()
  }

  private serve (request: IncomingMessage, response: ServerResponse): void {
    this.note(request)
    this.tokens.content = request.headers.authorization
    const match = /^\/cdn\/([^/]+\/[^/]+)\/[0-9a-f]{40}\/(.+)$/.exec(decodeURIComponent(request.url!))!
    const bytes = this.repositories[match[1]].files[match[2]]
    response.setHeader('etag', `"${sha256(bytes)}"`)
    this.send(request, response, match[2], bytes)
  }

  private send (request: IncomingMessage, response: ServerResponse, path: string, original: Buffer): void {
    const bytes = this.corrupted[path] ?? original
    const from = this.ignoresRanges ? 0 : Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    if (from > 0 && from >= bytes.length) {
      response.writeHead(416).end()
      return
    }
    const body = bytes.subarray(from)
    response.setHeader('content-length', body.length)
    response.setHeader('accept-ranges', 'bytes')
    if (from > 0) response.setHeader('content-range', `bytes ${from}-${bytes.length - 1}/${bytes.length}`)
    response.writeHead(from > 0 ? 206 : 200)
    if (request.method === 'HEAD') response.end()
    else if (body.length <= this.cutAfter) response.end(body)
    else if (this.cutAfter === 0) response.socket!.destroy()
    else response.write(body.subarray(0, this.cutAfter), () => response.socket!.end())
  }

  private note (request: IncomingMessage): void {
    this.requests.push([request.method, request.url!.replace(/\?.*/, ''), request.headers.range].filter(Boolean).join(' '))
  }
}

function addressOf (server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

export function json (response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

function fail (response: ServerResponse, status: number, code: string): void {
  response.setHeader('x-error-code', code)
  json(response, { error: code }, status)
}

/** A zip archive with deflated entries, as wheels are. */
export function zip (files: Record<string, Buffer>): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const [path, bytes] of Object.entries(files)) {
    const name = Buffer.from(path)
    const packed = deflateRawSync(bytes)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(8, 4)
    common.writeUInt32LE(crc32(bytes), 10)
    common.writeUInt32LE(packed.length, 14)
    common.writeUInt32LE(bytes.length, 18)
    common.writeUInt16LE(name.length, 22)
    const place = Buffer.alloc(14)
    place.writeUInt32LE(offset, 10)
    directory.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, place, name)
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, name, packed])
    parts.push(local)
    offset += local.length
  }
  const central = Buffer.concat(directory)
  const end = Buffer.alloc(18)
  const count = Object.keys(files).length
  end.writeUInt16LE(count, 4)
  end.writeUInt16LE(count, 6)
  end.writeUInt32LE(central.length, 8)
  end.writeUInt32LE(offset, 12)
  return Buffer.concat([...parts, central, Buffer.from('PK\x05\x06', 'latin1'), end])
}

/** Awaits a failure and gives it. */
export async function failureOf (promise: Promise<unknown>): Promise<Error & { code?: string, retryable?: boolean }> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('it succeeded')
}
