/**
 * Plain data that describes a model. Everything here survives JSON and
 * `structuredClone`, so it can cross a thread or the wire.
 */

/** A hosted unit: `embed`, `layer 0` … `layer L-1`, `head`. Numbered 0 … L+1 in that order. */
export type UnitName = 'embed' | 'head' | `layer ${number}`

/** Half-open range of unit numbers `[from, to)`; `embed` is 0, `layer i` is i + 1, `head` is L + 1. */
export interface UnitRange {
  from: number
  to: number
}

/**
 * Element types of tensors in model files: those of ggml, and three that only
 * packages have (docs/numerics.md, section 1): `Q3_32`, weights of 3 bits;
 * `Q8_8`, left factors of low-rank corrections; `ZERO`, a matrix of zeros,
 * which has no bytes: the base of a matrix that is a low-rank product alone.
 */
export type TensorType =
  | 'F32' | 'F16' | 'BF16'
  | 'Q4_0' | 'Q4_1' | 'Q5_0' | 'Q5_1' | 'Q8_0'
  | 'Q4_K' | 'Q5_K' | 'Q6_K'
  | 'Q3_32' | 'Q8_8' | 'ZERO'

/** Where the bytes of one tensor are. Row-major; `shape` is `[rows, columns]` or `[length]`. */
export interface TensorSource {
  /** name in the file; for messages only */
  name?: string
  path: string
  /** byte offset of the first element in the file */
  offset: number
  byteLength: number
  type: TensorType
  shape: number[]
  /**
   * Bytes from the start of one row to that of the next, where the file holds
   * more of each row than `shape` says: left factors used at a smaller rank.
   * `byteLength` counts what is used.
   */
  rowBytes?: number
  /**
   * GGUF files of the `llama` architecture store the rows of q and k permuted
   * for interleaved RoPE. Set to the number of heads whose rows are to be put
   * back into half-split order; `undefined` where rows are in order.
   */
  interleavedHeads?: number
  /** a correction that is added to the product: y = W·x + left·(right·x) */
  lowRank?: LowRankSource
}

/** Factors of a low-rank matrix. Columns of `left` and rows of `right` are ordered by singular value, so a prefix is the best of its rank. */
export interface LowRankSource {
  rank: number
  /** rows × rank */
  left: TensorSource
  /** rank × columns */
  right: TensorSource
}

/**
 * A value of GGUF metadata. Integers of 64 bits are numbers while they are
 * safe integers and bigints beyond; arrays are plain arrays.
 */
export type GgufValue = number | bigint | boolean | string | readonly GgufValue[]

/** Names of the tensors of a unit. Biases and head norms are present only where the architecture has them. */
export type TensorRole =
  | 'embedding'
  | 'attentionNorm' | 'query' | 'key' | 'value' | 'attentionOutput'
  | 'queryBias' | 'keyBias' | 'valueBias' | 'attentionOutputBias'
  | 'queryNorm' | 'keyNorm'
  | 'feedForwardNorm' | 'gate' | 'up' | 'down'
  | 'finalNorm' | 'projection'

/** The tensors of one unit. `embed`: embedding. `head`: finalNorm, projection (= the embedding when tied). */
export interface UnitSource {
  unit: UnitName
  tensors: Partial<Record<TensorRole, TensorSource>>
}

export interface RopeScalingLinear { kind: 'linear', factor: number }
export interface RopeScalingLlama3 {
  kind: 'llama3'
  factor: number
  lowFrequencyFactor: number
  highFrequencyFactor: number
  originalContextLength: number
}
/** One divisor of the inverse frequency for each pair, headSize / 2 of them (`rope_freqs.weight` of GGUF files of Llama 3). */
export interface RopeScalingFactors { kind: 'factors', factors: number[] }

export type RopeScaling = RopeScalingLinear | RopeScalingLlama3 | RopeScalingFactors

export interface Architecture {
  family: 'llama' | 'mistral' | 'qwen2' | 'qwen3'
  layerCount: number
  hiddenSize: number
  feedForwardSize: number
  headCount: number
  keyValueHeadCount: number
  /** elements per attention head; headCount * headSize need not equal hiddenSize (Qwen3) */
  headSize: number
  vocabularySize: number
  /** positions the model was trained for */
  contextLength: number
  normEpsilon: number
  ropeTheta: number
  ropeScaling: RopeScaling | null
  /** RMSNorm of q and k per head before RoPE (Qwen3) */
  queryKeyNorm: boolean
  /** for each layer the attention window in positions (a position sees itself and window - 1 before it), or null for full attention */
  slidingWindows: Array<number | null>
  tiedEmbedding: boolean
}

/** What peers must agree on to serve one model; `modelId` is the hash of its canonical encoding. */
export interface Manifest {
  version: 2
  architecture: Architecture
  /** numerics profile, see docs/numerics.md */
  profile: 'exact-1'
  /** version of the rules that turn source tensors into engine weights, see docs/numerics.md */
  conversion: string
  /** blob id (docs/package.md), lower-case hex, of the canonical tokenizer data */
  tokenizer: string
  /** blob id, lower-case hex, of each unit in order (layerCount + 2 of them) */
  units: string[]
  /** how matrices were compressed; null where they are as their source has them */
  compression: Compression | null
}

/** How a model was made smaller. Ranks are binding: they say how much of the stored factors is used. */
export interface Compression {
  /** modelId of what was compressed; null where it has none */
  source: string | null
  /** SHA-256, lower-case hex, of the calibration text; null where there was none */
  calibration: string | null
  /** for each unit in order its compressed matrices; others are as the source has them */
  units: Array<Partial<Record<TensorRole, MatrixCompression>>>
}

export type CompressionMode = 'q8' | 'q5' | 'q4' | 'q3' | 'q8+svd' | 'q5+svd' | 'q4+svd' | 'q3+svd' | 'svd'

export interface MatrixCompression {
  mode: CompressionMode
  /** 0 without svd, else a multiple of 8 */
  rank: number
  /** relative to the source matrix: ‖(W − W′)·X‖ ÷ ‖W·X‖ for calibration inputs X, and ‖W − W′‖ ÷ ‖W‖ (Frobenius); null where not measured */
  errors: { weighted: number | null, frobenius: number | null }
}

/** Stop ids and sampling defaults that come with the model. */
export interface GenerationDefaults {
  stopTokenIds: number[]
  bosTokenId: number | null
  temperature?: number
  topK?: number
  topP?: number
  repetitionPenalty?: number
}

export interface ChatMessage {
  role: string
  content: string
}

export interface EncodeOptions {
  /** add what the model's post-processor adds, usually bos (default true) */
  addSpecialTokens?: boolean
  /** recognise special tokens in the text (`<|im_start|>`); default true, as Hugging Face tokenizers do */
  parseSpecialTokens?: boolean
}

/** Text to ids and back. Synchronous and pure. */
export interface Tokenizer {
  readonly vocabularySize: number
  encode (text: string, options?: EncodeOptions): number[]
  /** special tokens are left out unless `skipSpecialTokens` is false */
  decode (ids: number[], options?: { skipSpecialTokens?: boolean }): string
  tokenToId (token: string): number | undefined
  /** incremental decoding that never emits half a character */
  createTextStream (options?: { skipSpecialTokens?: boolean }): TextStream
}

export interface TextStream {
  /** text that is now certain after this id; may be empty */
  push (id: number): string
  /** whatever is left at the end (broken bytes become U+FFFD) */
  flush (): string
}

/** An opened model: its description, and where the tensors of each unit are. */
export interface Model {
  readonly name: string
  readonly modelId: string
  readonly manifest: Manifest
  readonly architecture: Architecture
  readonly tokenizer: Tokenizer
  /** canonical encoding of all that determines the tokenizer and the chat templates: what a package holds */
  readonly tokenizerData: Uint8Array
  readonly generation: GenerationDefaults
  /** true where the model came with a chat template */
  readonly hasChatTemplate: boolean
  /** renders the chat template; throws NoChatTemplateError where there is none */
  renderChat (messages: ChatMessage[], options?: { addGenerationPrompt?: boolean }): string
  /** tensors of a unit by its number */
  unit (index: number): UnitSource
}
