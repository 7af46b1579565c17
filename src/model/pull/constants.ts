/** Numbers of the pull, each with its reason. */

/** Revision where none is named: the hub's default branch. */
export const DEFAULT_REVISION = 'main'

/** An answer to a question of the hub's API; a host that drops packets is given up after this long. Milliseconds. */
export const API_TIMEOUT = 15_000

/** No byte for this long: the connection is dead and the download is resumed on a new one. Milliseconds. */
export const STALL_TIMEOUT = 30_000

/** Tries in a row that bring no new byte before a download is given up. */
export const MAX_FRUITLESS_TRIES = 4

/** First pause before a retry, doubled each time. Milliseconds. */
export const RETRY_DELAY = 500

/** An answer of the API; a listing of 20,000 files is about 5 MB. */
export const MAX_API_BYTES = 32 * 1024 * 1024

/** Files in one folder of a repository; model repositories have some hundred. */
export const MAX_LISTED_FILES = 20_000

/** Shards of a model; the largest models have about 200. */
export const MAX_SHARDS = 2000

/** `model.safetensors.index.json`; that of the largest models is about 10 MB. */
export const MAX_INDEX_BYTES = 32 * 1024 * 1024

/** Entries of a wheel looked through for the one wanted. */
export const MAX_WHEEL_ENTRIES = 10_000

/** How often the size of what pip has fetched is looked at. Milliseconds. */
export const PIP_POLL_INTERVAL = 250

/** Last bytes of pip's messages kept for the error. */
export const PIP_MESSAGE_BYTES = 4096

/** Reads of a partial file while its bytes are hashed again. */
export const HASH_CHUNK_BYTES = 1024 * 1024
