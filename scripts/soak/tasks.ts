/** What clients write, and what must come of it. */
import { readFileSync } from 'node:fs'
import { createEngine, createLocalSession, generateText } from '../../src/index.ts'
import type { GenerationOptions, Model } from '../../src/index.ts'
import { createRandom } from '../../test/support/simulation/random.ts'

/** One conversation: the second turn goes on from the first one. */
export interface Task {
  options: GenerationOptions
  turns: Turn[]
}

export interface Turn {
  /** all before it included */
  promptIds: number[]
  /** of the undisturbed text */
  tokenIds: number[]
}

const TASKS = 40

const SAMPLINGS: GenerationOptions[] = [
  {},
  { temperature: 0.8, topP: 0.95 },
  { temperature: 0.9, topK: 40, repetitionPenalty: 1.1 },
  {},
  { temperature: 1.1, minP: 0.05, presencePenalty: 0.3 },
  { repetitionPenalty: 1.2 }
]

/** Of every task the same tokens, whatever happens to peers and links: computed here by one engine. */
export async function createTasks (model: Model, textPath: string, seed: number): Promise<Task[]> {
  const random = createRandom(seed)
  const words = readFileSync(textPath, 'utf8').split(/\s+/)
  const { architecture, tokenizer, generation } = model
  const engine = await createEngine({ architecture, range: { from: 0, to: architecture.layerCount + 2 }, unit: index => model.unit(index), threads: 1, keyValuePositions: 4096 })
  const piece = (count: number): number[] => {
    const from = Math.floor(random() * (words.length - count))
    return Array.from(tokenizer.encode(words.slice(from, from + count).join(' ')))
  }
  try {
    const tasks: Task[] = []
    for (let number = 0; number < TASKS; number++) {
      const options: GenerationOptions = { ...SAMPLINGS[number % SAMPLINGS.length], seed: Math.floor(random() * 2 ** 32), maximumTokens: 40 + Math.floor(100 * random()), stopTokenIds: generation.stopTokenIds }
      const session = createLocalSession(engine)
      const turns: Turn[] = []
      let ids: number[] = []
      for (let turn = 0; turn < 1 + number % 2; turn++) {
        // short questions and long documents
        ids = [...ids, ...piece(random() < 0.2 ? 200 : 5 + Math.floor(40 * random()))]
        const { tokenIds } = await generateText({ session, tokenizer, promptIds: ids, options })
        turns.push({ promptIds: ids, tokenIds })
        ids = [...ids, ...tokenIds]
      }
      await session.close()
      tasks.push({ options, turns })
    }
    return tasks
  } finally {
    await engine.stop()
  }
}
