// The smallest client: continues a text over peers that run already.
//
//   $ npx efedllm swarm --peers 4          prints the addresses to join
//   $ node scripts/prompt.ts ADDRESS,… "Fellow citizens of the Senate"
//
// EFEDLLM_MODEL names the model where the peers host another than sotu-4m.

import { connectRoute, createPeerNode, generate, openModel, resolveModel } from '../src/index.ts' // elsewhere: from 'efedllm'

const [addresses, prompt] = process.argv.slice(2)
if (addresses === undefined || prompt === undefined) {
  console.error('usage: node scripts/prompt.ts ADDRESS,ADDRESS… TEXT')
  process.exit(2)
}

// the tokenizer is ours; the peers must host the very same model, or they are refused
const model = await openModel(await resolveModel(process.env.EFEDLLM_MODEL ?? 'sotu-4m'))
const node = createPeerNode({})
await node.start()
try {
  const session = await connectRoute({ node, addresses: addresses.split(','), model })
  const events = generate({
    session,
    tokenizer: model.tokenizer,
    promptIds: model.tokenizer.encode(prompt),
    options: { temperature: 0.8, topP: 0.95, seed: 1, maximumTokens: 64, stopTokenIds: model.generation.stopTokenIds }
  })
  for await (const event of events) {
    if (event.type === 'text') process.stdout.write(event.text)
  }
  process.stdout.write('\n')
  await session.close()
} finally {
  await node.stop()
}
