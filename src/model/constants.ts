/** Numbers and version strings of `src/model`, each with its reason. */

/** Numerics profile of docs/numerics.md; part of the manifest. */
export const PROFILE = 'exact-1'

/** Version of the rules of tensor/weight-blocks.ts (docs/numerics.md, section 1); other rules give other bits, hence another model. */
export const CONVERSION = 'exact-1/1'

/** Columns of a block of weights that share a scale: the block length of ggml's 4-, 5- and 8-bit types. */
export const BLOCK_COLUMNS = 32

/** Largest finite float16; scales are stored as float16. */
export const LARGEST_HALF = 65504

/** Header of a GGUF file, tokenizer included. The largest vocabularies in use (256k tokens, 500k merges) take about 20 MiB. */
export const MAX_GGUF_HEADER_BYTES = 64 * 1024 * 1024

/** Elements of one metadata array; 256k tokens and 500k merges are the largest in use. */
export const MAX_GGUF_ARRAY_LENGTH = 4 * 1024 * 1024

/** Arrays of arrays are allowed by the format and used by nobody; two levels are plenty. */
export const MAX_GGUF_ARRAY_DEPTH = 2

/** Metadata keys; files in use have about 50. */
export const MAX_GGUF_METADATA = 65_536

/** Tensors of a file; the largest models that fit on a disk have some ten thousand. */
export const MAX_TENSORS = 262_144

/** Dimensions of a tensor; ggml has four. */
export const MAX_DIMENSIONS = 4

/** Bytes of a key or tensor name; the format allows keys of 65,535 bytes, names in use are below 64. */
export const MAX_NAME_BYTES = 65_535

/** Where `general.alignment` is missing the format says 32. */
export const DEFAULT_GGUF_ALIGNMENT = 32

/** Alignment beyond a megabyte only wastes space: it is a broken field. */
export const MAX_GGUF_ALIGNMENT = 1024 * 1024

/** JSON header of a safetensors file; the format allows 100 MB, real ones are below 1 MB. */
export const MAX_SAFETENSORS_HEADER_BYTES = 32 * 1024 * 1024

/** `config.json` and `generation_config.json` are a few kilobytes. */
export const MAX_CONFIG_BYTES = 1024 * 1024

/** `model.safetensors.index.json` of the largest models is about 10 MB. */
export const MAX_INDEX_BYTES = 32 * 1024 * 1024

/** `tokenizer.json` of a vocabulary of 256k is about 35 MB. */
export const MAX_TOKENIZER_BYTES = 96 * 1024 * 1024

/** Encoded manifest: 70 bytes a unit and 100 for each of its seven compressed matrices: room for 600 layers, four times the deepest model known. */
export const MAX_MANIFEST_BYTES = 512 * 1024

/** Rank of a low-rank correction: at a few thousand any matrix is cheaper without one. */
export const MAX_RANK = 65_536

/** Ranks are multiples of this: left factors are stored in blocks of as many. */
export const RANK_STEP = 8

/** Limits of an architecture. Each is several times what the largest open dense models have. */
export const MAX_LAYERS = 1024
export const MAX_HIDDEN_SIZE = 131_072
export const MAX_FEED_FORWARD_SIZE = 1_048_576
export const MAX_HEADS = 2048
export const MAX_HEAD_SIZE = 1024
export const MAX_VOCABULARY = 4_194_304
export const MAX_CONTEXT_LENGTH = 16_777_216

/** Token ids that stop a generation; Llama 3 has three. */
export const MAX_STOP_TOKENS = 256

/** Piece of a file hashed at a time: about a millisecond of SHA-256, so that an event loop is not held up. */
export const HASH_CHUNK_BYTES = 1024 * 1024

/** First read of a GGUF header; doubled until the header fits. */
export const FIRST_HEADER_READ_BYTES = 256 * 1024
