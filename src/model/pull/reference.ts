import { findInCatalogue } from './catalogue.ts'
import { ModelReferenceError } from './errors.ts'
import type { CatalogueEntry, HubReference } from './types.ts'

/** What a text given as a model means, before any look at the disk. */
export type ModelReference =
  | { kind: 'catalogue', entry: CatalogueEntry }
  | { kind: 'hub', hub: HubReference }
  | { kind: 'path', path: string }
  /** a bare word that the catalogue does not have: perhaps a file in this folder */
  | { kind: 'word', word: string }

const HUB_PREFIX = 'hf:'

/** Owners and names as the hub allows them. */
const REPOSITORY = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/

/** Branches, tags, commits and references such as `refs/pr/1`. */
const REVISION = /^[\w][\w./+-]{0,254}$/

/** A commit of the hub, which never changes. */
export const COMMIT = /^[0-9a-f]{40}$/

/**
 * Reads a path, a name of the catalogue or `hf:owner/repo[@revision][:file.gguf]`.
 * A name of the catalogue wins over a file of the same name; `./name` is the file.
 *
 * @throws ModelReferenceError for a malformed `hf:` text
 */
export function parseReference (text: string): ModelReference {
  if (text.startsWith(HUB_PREFIX)) return { kind: 'hub', hub: parseHubReference(text) }
  if (text === '') throw new ModelReferenceError('(empty)', 'give a path, a name of the catalogue, or hf:owner/repo')
  const entry = findInCatalogue(text)
  if (entry !== undefined) return { kind: 'catalogue', entry }
  if (/[/\\]/.test(text) || text.startsWith('.') || /\.(gguf|safetensors)$/i.test(text)) return { kind: 'path', path: text }
  return { kind: 'word', word: text }
}

function parseHubReference (text: string): HubReference {
  const match = /^([^@:]+)(?:@([^:]+))?(?::(.+))?$/s.exec(text.slice(HUB_PREFIX.length))
  if (match === null) throw new ModelReferenceError(text, 'expected hf:owner/repo[@revision][:file.gguf]')
  const [, repository, revision, file] = match
  if (!isRepository(repository)) throw new ModelReferenceError(text, `"${repository}" is not a repository name (owner/repo)`)
  if (revision !== undefined) checkRevision(text, revision)
  if (file !== undefined && !(isSafePath(file) && file.toLowerCase().endsWith('.gguf'))) {
    throw new ModelReferenceError(text, `"${file}" is not the name of a .gguf file; for safetensors give the repository alone`)
  }
  return { repository, ...(revision !== undefined && { revision }), ...(file !== undefined && { file }) }
}

/** True for `owner/repo` with the characters and lengths that the hub allows. */
export function isRepository (text: string): boolean {
  return REPOSITORY.test(text) && !text.includes('..')
}

/** @throws ModelReferenceError where the revision could not be one, or would leave the folder it is stored in */
export function checkRevision (subject: string, revision: string): void {
  if (!REVISION.test(revision) || !isSafePath(revision)) {
    throw new ModelReferenceError(subject, `"${revision}" is not a branch, tag or commit`)
  }
}

/** True for a relative path with `/` that stays below the folder it is joined to, on every system. */
export function isSafePath (path: string): boolean {
  return path.length > 0 && path.length <= 1024 &&
    // control characters, and what Windows forbids or gives a meaning
    !/[\u0000-\u001f\\:*?"<>|]/.test(path) && // eslint-disable-line no-control-regex
    path.split('/').every(part => part !== '' && part !== '.' && part !== '..')
}
