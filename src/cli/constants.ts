/** Numbers of the command line, each with its reason. */

/** Work that takes longer than this shows a progress bar; shorter bars only flicker. */
export const PROGRESS_DELAY_MILLISECONDS = 1000

/** Bytes of a prompt or text file; a context of a million tokens is about 4 MB of text. */
export const MAX_TEXT_BYTES = 64 * 1024 * 1024

/** A key file has about a hundred. */
export const MAX_KEY_FILE_BYTES = 4096

/** Token ids on one command line; beyond any context in use. */
export const MAX_IDS = 1_048_576

/** Peer processes of one `swarm`; more than any model has units that are worth a process. */
export const MAX_SWARM_PEERS = 1024

/** Threads of one engine; more than any machine this runs on has. */
export const MAX_THREADS = 1024

/** New tokens of `prompt` and `chat` where --max-tokens does not say: models without a stop token would fill the context. */
export const DEFAULT_MAX_TOKENS = 256

/** A `swarm` waits so long for a child to be ready: reading and converting a large model from a slow disk takes minutes. */
export const READY_MILLISECONDS = 10 * 60_000

/** A peer that is to stop waits so long for its sessions to be moved; longer than a client needs for it. */
export const DRAIN_MILLISECONDS = 30_000

/** Of the memory that is free when a peer starts, it takes so much where nothing is said: the rest is for whoever works at the machine. */
export const MEMORY_SHARE = 0.75

/** A child that was asked to stop gets so long to close its sessions before it is killed. */
export const STOP_MILLISECONDS = 5000

/** Last part of a child's stderr that is kept to explain its end. */
export const KEPT_STDERR_CHARACTERS = 8192

/** A ready line holds some addresses and a range; a longer line is no ready line. */
export const MAX_READY_LINE_CHARACTERS = 65_536

/** Exit codes, as most shells and tools understand them. */
export const EXIT_OK = 0
export const EXIT_FAILURE = 1
export const EXIT_USAGE = 2
/** 128 + SIGINT */
export const EXIT_INTERRUPTED = 130

/** The model that comes with the package: everything can be tried without a download. */
export const DEFAULT_MODEL = 'sotu-4m'

/** Reachable from other machines, on a port that is free; peers that are to be found again name one. */
export const DEFAULT_LISTEN = '/ip4/0.0.0.0/tcp/0'

/** Bits per weight of a package where nothing is said: the best quality for its size among those measured (docs/compression.md). */
export const DEFAULT_TARGET_BITS = 4.8

/** Errors measured again may differ from those of the manifest by this share: sums run in another order. */
export const ERROR_TOLERANCE = 1e-6
