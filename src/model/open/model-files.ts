import { existsSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { buildUnits, configFromGguf, configFromJson } from '../config/index.ts'
import type { ModelConfig } from '../config/index.ts'
import { MAX_CONFIG_BYTES, MAX_TOKENIZER_BYTES } from '../constants.ts'
import { ModelFileError, UnsupportedModelError } from '../errors.ts'
import { readGguf } from '../gguf/index.ts'
import { fileStatus, readJsonFile, readSmallFile } from '../json-file.ts'
import type { JsonObject } from '../json-file.ts'
import { readCheckpoint } from '../safetensors/index.ts'
import { readRange } from '../tensor/index.ts'
import type { StoredTensor } from '../tensor/index.ts'
import {
  createTokenizerFromFiles, createTokenizerFromGguf, TokenizerFormatError, UnsupportedTokenizerError
} from '../tokenizer/index.ts'
import type { LoadedTokenizer } from '../tokenizer/index.ts'
import type { GgufValue, UnitSource } from '../types.ts'

/** The headers of a model's files; each question beyond that is answered when asked. */
export interface ModelFiles {
  kind: 'gguf' | 'safetensors'
  name: string
  /** the one file, or the index of several; caches are named after it */
  main: string
  /** files with tensors */
  files: string[]
  tensors: ReadonlyMap<string, StoredTensor>
  /** of GGUF files */
  metadata: ReadonlyMap<string, GgufValue> | null
  /** of directories: `config.json` and, where there is one, `generation_config.json` */
  configJson: JsonObject | null
  generationJson: JsonObject | null
  readConfig (): ModelConfig
  readUnits (config: ModelConfig): UnitSource[]
  readTokenizer (): LoadedTokenizer
}

const GGUF_MAGIC = [0x47, 0x47, 0x55, 0x46]

/**
 * Finds out what a path is and reads the headers: a GGUF file, a directory in
 * the layout of Hugging Face, or a safetensors file in such a directory.
 *
 * @throws ModelFileError, UnsupportedModelError
 */
export function readModelFiles (path: string): ModelFiles {
  const full = resolve(path)
  const { isDirectory, size } = fileStatus(full)
  if (isDirectory) return fromDirectory(full)
  const magic = readRange(full, 0, Math.min(size, 4))
  if (GGUF_MAGIC.every((byte, i) => magic[i] === byte) || full.endsWith('.gguf')) return fromGguf(full)
  if (full.endsWith('.safetensors')) return fromDirectory(dirname(full), full)
  throw new ModelFileError(path, 'file', 'is neither a GGUF file nor a safetensors file nor a directory with a model')
}

function fromGguf (path: string): ModelFiles {
  const file = readGguf(path)
  return {
    kind: 'gguf',
    // not general.name, which is often a line of the training log
    name: basename(path, '.gguf'),
    main: path,
    files: [path],
    tensors: file.tensors,
    metadata: file.metadata,
    configJson: null,
    generationJson: null,
    readConfig: () => configFromGguf(file),
    readUnits: config => buildUnits({ config, tensors: file.tensors, format: 'gguf', file: path }),
    readTokenizer: () => namingFile(path, () => createTokenizerFromGguf(file.metadata))
  }
}

function fromDirectory (directory: string, single?: string): ModelFiles {
  const configPath = join(directory, 'config.json')
  if (!existsSync(configPath)) throw new ModelFileError(directory, 'config.json', 'is missing')
  const configJson = readJsonFile(configPath, MAX_CONFIG_BYTES)
  const generationJson = optionalJson(directory, 'generation_config.json', MAX_CONFIG_BYTES)
  const { main, files, tensors } = readCheckpoint(directory, single)
  return {
    kind: 'safetensors',
    name: directoryName(directory),
    main,
    files,
    tensors,
    metadata: null,
    configJson,
    generationJson,
    readConfig: () => configFromJson(configJson, configPath),
    readUnits: config => buildUnits({ config, tensors, format: 'safetensors', file: main }),
    readTokenizer: () => readTokenizer(directory)
  }
}

function readTokenizer (directory: string): LoadedTokenizer {
  const path = join(directory, 'tokenizer.json')
  if (!existsSync(path)) throw new ModelFileError(directory, 'tokenizer.json', 'is missing')
  const template = join(directory, 'chat_template.jinja')
  return namingFile(path, () => createTokenizerFromFiles({
    tokenizerJson: readJsonFile(path, MAX_TOKENIZER_BYTES),
    tokenizerConfig: optionalJson(directory, 'tokenizer_config.json', MAX_TOKENIZER_BYTES) ?? undefined,
    chatTemplate: existsSync(template) ? new TextDecoder().decode(readSmallFile(template, MAX_CONFIG_BYTES)) : undefined
  }))
}

function optionalJson (directory: string, name: string, limit: number): JsonObject | null {
  const path = join(directory, name)
  return existsSync(path) ? readJsonFile(path, limit) : null
}

/** Errors of the tokenizer name a field; here they get the file's name. */
function namingFile<Result> (file: string, run: () => Result): Result {
  try {
    return run()
  } catch (cause) {
    if (cause instanceof TokenizerFormatError) throw new ModelFileError(file, 'tokenizer', cause.message, { cause })
    if (cause instanceof UnsupportedTokenizerError) throw new UnsupportedModelError(file, 'tokenizer', cause.message, { cause })
    throw cause
  }
}

/** `org/name` for a snapshot in the cache of the Hugging Face hub, else the name of the folder. */
function directoryName (directory: string): string {
  const snapshot = /models--(.+?)--([^/\\]+)[/\\]snapshots[/\\][^/\\]+$/.exec(directory)
  return snapshot === null ? basename(directory) : `${snapshot[1]}/${snapshot[2]}`
}
