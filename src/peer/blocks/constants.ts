/** Id, limits and time-outs of the blocks protocol, each with its reason. */
import { MAX_BLOB_HEADER_BYTES } from '../../model/index.ts'
import { MAXIMUM_MANIFEST_BYTES } from '../constants.ts'

export const BLOCKS_PROTOCOL = '/efedllm/blocks/1.0.0'

export const MESSAGE_VERSION = 1

/** Header of an answer; a request has a hash after it. */
export const MESSAGE_HEADER_BYTES = 16

export const REQUEST_BYTES = 48

/** Bytes under one hash, as in the blob format. */
export const BLOCK_BYTES = 256 << 10

/** The largest payload is a header of the largest blob. */
export const MAXIMUM_PAYLOAD_BYTES = Math.max(MAX_BLOB_HEADER_BYTES, MAXIMUM_MANIFEST_BYTES, BLOCK_BYTES)

export const MAXIMUM_ANSWER_BYTES = MESSAGE_HEADER_BYTES + Math.ceil(MAXIMUM_PAYLOAD_BYTES / 8) * 8

/** Requests of one peer that may wait at a server, over all its streams: each costs 32 bytes until it is its turn. */
export const REQUESTS_PER_PEER = 16

/** Requests that a client keeps under way at one source: a megabyte covers a line of 160 Mbit/s at 50 ms. */
export const REQUESTS_PER_SOURCE = 4

/** Streams of one peer: one that fetches, and one that is just being replaced. */
export const MAXIMUM_BLOCK_STREAMS = 2

/** A stream that asks for nothing is ended. */
export const IDLE_MILLISECONDS = 60_000

/** Every request is charged at least this much: asking for what is not here is not free either. */
export const LEAST_CHARGE_BYTES = 4096

/** A source from which nothing has come for so long, while something is asked of it, is lost. */
export const SOURCE_TIMEOUT_MILLISECONDS = 15_000

/** A lost source is tried again so often without a block in between, each time after twice the pause. */
export const RECONNECT_TRIES = 3
export const RECONNECT_MILLISECONDS = 500

/** A source that is busy is asked again after this. */
export const BUSY_MILLISECONDS = 250
