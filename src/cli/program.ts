import { createRequire } from 'node:module'
import { Command } from 'commander'
import { defineBench } from './commands/bench.ts'
import { defineChat } from './commands/chat.ts'
import { defineCompress } from './commands/compress.ts'
import { defineDerive } from './commands/derive.ts'
import { defineDoctor } from './commands/doctor.ts'
import { defineDrain } from './commands/drain.ts'
import { defineInspect } from './commands/inspect.ts'
import { defineInvite } from './commands/invite.ts'
import { defineKey } from './commands/key.ts'
import { defineLogits } from './commands/logits.ts'
import { defineModels } from './commands/models.ts'
import { definePeer } from './commands/peer.ts'
import { definePerplexity } from './commands/perplexity.ts'
import { definePlan } from './commands/plan.ts'
import { definePrompt } from './commands/prompt.ts'
import { definePull } from './commands/pull.ts'
import { definePeers, defineStatus } from './commands/status.ts'
import { defineSwarm } from './commands/swarm.ts'
import { defineVerify } from './commands/verify.ts'
import type { Context } from './context.ts'

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }

/** The whole command line. Heavy parts of the library are imported by the commands that need them, when they run. */
export function createProgram (context: Context): Command {
  const { stdout, stderr } = context.terminal
  const program = new Command('efedllm')
    .description('Peer-to-peer inference of large language models, bit-for-bit reproducible.')
    .version(version, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help of a command')
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: text => stdout.write(text),
      writeErr: text => stderr.write(text),
      // shown once, in our own form
      outputError: () => {}
    })
    .addHelpText('after', `
Examples:
  $ efedllm swarm --peers 4 --prompt "Fellow citizens of the Senate"
  $ efedllm peer --model smollm2-135m-instruct --layers 0:15
  $ efedllm prompt --join /ip4/192.168.1.7/tcp/4001/p2p/12D3KooW… "Hello"`)
  definePrompt(program, context)
  defineChat(program, context)
  definePeer(program, context)
  defineSwarm(program, context)
  defineStatus(program, context)
  definePeers(program, context)
  defineDrain(program, context)
  defineInvite(program, context)
  defineDoctor(program, context)
  defineKey(program, context)
  definePull(program, context)
  defineModels(program, context)
  defineInspect(program, context)
  defineCompress(program, context)
  defineDerive(program, context)
  defineVerify(program, context)
  definePerplexity(program, context)
  defineLogits(program, context)
  defineBench(program, context)
  definePlan(program, context)
  return program
}
