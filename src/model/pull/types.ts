/** What happens during a pull. Byte counts are over all files of a phase. */
export interface PullProgress {
  /**
   * `connecting`: asking what there is; `downloading`, `unpacking`: bytes arrive;
   * `fallback`: the hub did not serve us (see `reason`) and `source` is used instead;
   * `done`: the model is complete on disk.
   */
  phase: 'connecting' | 'downloading' | 'fallback' | 'unpacking' | 'done'
  source: 'hub' | 'pip' | 'disk'
  /** file the bytes belong to */
  file?: string
  /** bytes on disk so far, those of an earlier interrupted pull included */
  received: number
  /** bytes expected in all; 0 while unknown */
  total: number
  /** why the first source was given up, for `fallback` */
  reason?: Error
}

export interface PullOptions {
  signal?: AbortSignal
  onProgress?: (progress: PullProgress) => void
  /** branch, tag or commit for names that do not carry one (`hf:owner/repo@revision`) */
  revision?: string
  /** where to get a catalogue model from; `auto` takes the hub, then pip where the hub does not serve us (default) */
  source?: 'auto' | 'hub' | 'pip'
  /** our own folder, `dataDirectory()` where left out */
  dataDirectory?: string
  /** cache folder of the hub; its standard variables where left out */
  hubCacheDirectory?: string
  /** base address of the hub; `HF_ENDPOINT` or the public one where left out */
  hubUrl?: string
  /** access token; `HF_TOKEN` or the hub's token file where left out */
  token?: string
  fetch?: typeof fetch
  /** variables to go by, those of the process where left out */
  environment?: Record<string, string | undefined>
  /** milliseconds before the first retry of a broken download; doubles each time (default 500) */
  retryDelay?: number
}

export interface ResolveOptions extends PullOptions {
  /** false: only what is on this machine, ModelNotPresentError otherwise (default true) */
  download?: boolean
}

/** A repository on the hub; `file` names one GGUF file in it. */
export interface HubReference {
  repository: string
  revision?: string
  file?: string
}

/** One file inside a wheel on the Python package index. */
export interface PipReference {
  package: string
  version: string
  /** base name of the file inside the wheel */
  file: string
  /** SHA-256 of that file, lower-case hex */
  sha256: string
  /** bytes of that file */
  byteLength: number
  /** bytes of the wheel, for the progress bar */
  wheelByteLength: number
}

export interface CatalogueEntry {
  name: string
  /** one line for people */
  description: string
  /** SPDX name or the publisher's own */
  licence: string
  /** folder inside this package */
  packaged?: string
  hub?: HubReference
  pip?: PipReference
}

/** A model as `listModels` sees it. */
export interface ListedModel {
  /** what `resolveModel` takes */
  name: string
  description?: string
  /** where it is, or would come from */
  source: 'package' | 'hub' | 'pip'
  /** path for the model readers; undefined where it is not on this machine */
  path?: string
  /** bytes on disk */
  byteLength?: number
}
