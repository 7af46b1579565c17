import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { MAX_INDEX_BYTES, MAX_TENSORS } from '../constants.ts'
import { ModelFileError } from '../errors.ts'
import { isJsonObject, readJsonFile } from '../json-file.ts'
import type { StoredTensor } from '../tensor/index.ts'
import { INDEX_FILE, MAX_SHARDS, SINGLE_FILE } from './constants.ts'
import { readSafetensors } from './read-safetensors.ts'

/** A checkpoint in one or several safetensors files. */
export interface Checkpoint {
  /** the one file, or the index */
  main: string
  /** all files with tensors, in order of name */
  files: string[]
  tensors: ReadonlyMap<string, StoredTensor>
}

/** A shard is a plain file beside the index, whatever the index says. */
const SHARD_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}\.safetensors$/

/**
 * Reads the headers of the checkpoint of a directory in the layout of Hugging
 * Face: `model.safetensors`, or the files that `model.safetensors.index.json` names.
 *
 * @param named a safetensors file of the directory that was asked for by name:
 *   the checkpoint is that file alone, unless it is a part of the indexed one
 * @throws ModelFileError
 */
export function readCheckpoint (directory: string, named?: string): Checkpoint {
  const index = join(directory, INDEX_FILE)
  if (named !== undefined && existsSync(index)) {
    const checkpoint = readShards(directory, index)
    if (checkpoint.files.includes(named)) return checkpoint
  }
  const single = named ?? join(directory, SINGLE_FILE)
  if (named !== undefined || existsSync(single)) return { main: single, files: [single], tensors: readSafetensors(single).tensors }
  if (!existsSync(index)) {
    throw new ModelFileError(directory, 'directory', `has neither ${SINGLE_FILE} nor ${INDEX_FILE} (other checkpoint formats are not read)`)
  }
  return readShards(directory, index)
}

function readShards (directory: string, index: string): Checkpoint {
  const { weight_map: weightMap } = readJsonFile(index, MAX_INDEX_BYTES)
  if (!isJsonObject(weightMap)) throw new ModelFileError(index, 'weight_map', 'is not a JSON object')
  const entries = Object.entries(weightMap)
  if (entries.length === 0 || entries.length > MAX_TENSORS) throw new ModelFileError(index, 'weight_map', `has ${entries.length} tensors`)
  const shards = new Set<string>()
  for (const [name, shard] of entries) {
    if (typeof shard !== 'string' || !SHARD_NAME.test(shard)) {
      throw new ModelFileError(index, `weight_map "${name}"`, `${JSON.stringify(shard)?.slice(0, 80)} is not a plain file name that ends in .safetensors`)
    }
    shards.add(shard)
  }
  if (shards.size > MAX_SHARDS) throw new ModelFileError(index, 'weight_map', `names more than ${MAX_SHARDS} files`)

  const tensors = new Map<string, StoredTensor>()
  const files = [...shards].sort().map(shard => join(directory, shard))
  for (const file of files) {
    for (const [name, tensor] of readSafetensors(file).tensors) {
      const other = tensors.get(name)
      if (other !== undefined) throw new ModelFileError(file, `tensor "${name}"`, `is also in ${other.path}`)
      tensors.set(name, tensor)
    }
  }
  for (const [name, shard] of entries) {
    if (tensors.get(name)?.path !== join(directory, shard as string)) {
      throw new ModelFileError(index, `weight_map "${name}"`, `is not in ${shard as string}`)
    }
  }
  return { main: index, files, tensors }
}
