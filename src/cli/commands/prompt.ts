import { checkInvited, readAccess } from '../access.ts'
import { checkRoute } from '../connect.ts'
import { openModelByName } from '../open-model.ts'
import { addOutputOptions, addRouteOptions, addSamplingOptions } from '../options.ts'
import { createProgress } from '../progress.ts'
import { readText } from '../text-input.ts'
import { answer } from '../answer.ts'
import type { Command } from 'commander'
import type { PromptFlags } from '../answer.ts'
import type { Context } from '../context.ts'

/** Options of a prompt that are not about the route; `swarm` has them too. */
export function addPromptOptions (command: Command): Command {
  return addSamplingOptions(command
    .option('-f, --file <path>', 'read the prompt from a file (- is stdin)')
    .option('--chat', 'put the prompt into the chat template of the model')
    .option('--system <text>', 'system message, with --chat'))
}

export function definePrompt (program: Command, context: Context): void {
  const command = program.command('prompt [text]')
    .description('Continue a text, or answer it with --chat. Without text, it is read from --file or stdin.')
  addOutputOptions(addPromptOptions(addRouteOptions(command)))
    .addHelpText('after', `
Examples:
  $ efedllm prompt --join /ip4/192.168.1.7/tcp/4001/p2p/12D3KooW… "The state of the Union is"
  $ efedllm prompt --model smollm2-135m-instruct --local all --chat "Why is the sky blue?"
  $ efedllm prompt --join $ADDRESSES --local embed,head --json < question.txt`)
    .action(async (text: string | undefined, typed: PromptFlags & { file?: string }) => {
      const flags = { ...typed, ...await readAccess(typed) }
      checkRoute(flags)
      const prompt = await readText(context.terminal, text, flags.file)
      const model = await openModelByName(context, flags.model, createProgress(context.terminal, flags), flags)
      checkInvited(model, flags)
      await answer(context, flags, model, prompt)
    })
}
