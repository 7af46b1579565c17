import { HubResponseError, UnusableRepositoryError } from './errors.ts'
import { MAX_SHARDS } from './constants.ts'
import { isSafePath } from './reference.ts'

/** A file of a repository, checked. */
export interface HubFile {
  path: string
  byteLength: number
  /** what its content must hash to: SHA-256 where it is kept in large file storage, git's object id otherwise */
  checksum: { algorithm: 'sha256' | 'git', digest: string }
}

/** Which files of a repository make up a model. `index` must be read to know the rest of the weights. */
export interface Selection {
  /** configuration and tokenizer */
  description: HubFile[]
  weights: HubFile[]
  index?: HubFile
}

/** Read by the readers of this package where present. */
const OPTIONAL_FILES = ['generation_config.json', 'tokenizer_config.json', 'special_tokens_map.json', 'chat_template.jinja', 'chat_template.json']

const INDEX = 'model.safetensors.index.json'

/**
 * One entry of the hub's listing, or undefined for a folder.
 *
 * @throws HubResponseError for a path that leaves the folder, a size that is none, a checksum that is none
 */
export function readListedFile (repository: string, entry: unknown): HubFile | undefined {
  const { type, path, size, oid, lfs } = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>
  if (type !== 'file') return undefined
  if (typeof path !== 'string' || !isSafePath(path)) throw new HubResponseError(repository, 'path: not a relative path')
  const large = typeof lfs === 'object' && lfs !== null ? lfs as Record<string, unknown> : undefined
  const byteLength = large === undefined ? size : large.size
  if (!Number.isSafeInteger(byteLength) || (byteLength as number) < 0) throw new HubResponseError(repository, `${path}: size: not a count of bytes`)
  const digest = large === undefined ? oid : large.oid
  const pattern = large === undefined ? /^[0-9a-f]{40}$/ : /^[0-9a-f]{64}$/
  if (typeof digest !== 'string' || !pattern.test(digest)) throw new HubResponseError(repository, `${path}: oid: not a checksum`)
  return { path, byteLength: byteLength as number, checksum: { algorithm: large === undefined ? 'git' : 'sha256', digest } }
}

/**
 * Chooses the files to fetch: the one GGUF file that is named, or configuration,
 * tokenizer and safetensors. Other formats in the same repository are left alone.
 *
 * @throws UnusableRepositoryError where there is no such file, or no model that can be read here
 */
export function selectFiles (repository: string, files: HubFile[], file?: string): Selection {
  const find = (path: string): HubFile | undefined => files.find(one => one.path === path)
  const packed = files.filter(one => one.path.toLowerCase().endsWith('.gguf'))
  if (file !== undefined) {
    const wanted = find(file)
    if (wanted === undefined) throw new UnusableRepositoryError(repository, `has no file ${file}${namesOf(packed)}`)
    return { description: [], weights: [wanted] }
  }

  const config = find('config.json')
  const index = find(INDEX)
  const single = find('model.safetensors')
  if (config === undefined || (index ?? single) === undefined) {
    if (packed.length === 1) return { description: [], weights: packed }
    throw new UnusableRepositoryError(repository, packed.length > 1
      ? `has several GGUF files, say which (hf:${repository}:FILE)${namesOf(packed)}`
      : 'has neither config.json with safetensors nor a GGUF file')
  }
  const tokenizer = find('tokenizer.json')
  if (tokenizer === undefined) throw new UnusableRepositoryError(repository, 'has no tokenizer.json')
  const description = [config, tokenizer, ...OPTIONAL_FILES.map(find).filter(one => one !== undefined)]
  // one file where there is one: an index beside it only describes it
  return single !== undefined ? { description, weights: [single] } : { description: [...description, index!], weights: [], index }
}

/**
 * The shards that an index names.
 *
 * @param text content of `model.safetensors.index.json`
 * @throws UnusableRepositoryError for an index that is none or names a file that the repository lacks
 */
export function selectShards (repository: string, text: string, files: HubFile[]): HubFile[] {
  const names = shardNames(text)
  if (names === undefined) throw new UnusableRepositoryError(repository, `${INDEX}: weight_map: does not name safetensors files`)
  return names.map(name => {
    const shard = files.find(one => one.path === name)
    if (shard === undefined) throw new UnusableRepositoryError(repository, `${INDEX} names ${name}, which is not there`)
    return shard
  })
}

/** File names in the weight map of an index, in order and once each; undefined where the text is no index. */
export function shardNames (text: string): string[] | undefined {
  let map: unknown
  try {
    map = (JSON.parse(text) as { weight_map?: unknown } | null)?.weight_map
  } catch {
    return undefined
  }
  if (typeof map !== 'object' || map === null) return undefined
  const names = [...new Set(Object.values(map))]
  const usable = names.length > 0 && names.length <= MAX_SHARDS &&
    names.every(name => typeof name === 'string' && isSafePath(name) && name.endsWith('.safetensors'))
  return usable ? (names as string[]).sort() : undefined
}

function namesOf (files: HubFile[]): string {
  if (files.length === 0) return ''
  const shown = files.slice(0, 12).map(file => file.path).join(', ')
  return `; there are: ${shown}${files.length > 12 ? `, and ${files.length - 12} more` : ''}`
}
