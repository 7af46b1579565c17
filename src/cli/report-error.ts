import { EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_USAGE } from './constants.ts'
import { note, style } from './terminal.ts'
import type { Terminal } from './terminal.ts'

interface Described {
  name: string
  code: string | undefined
  message: string
  hint: string | undefined
  retryable: boolean
  exitCode: number
}

/** What to do about it, for failures whose message alone does not say. */
const hints: Record<string, string> = {
  ERR_INVALID_OPTION: '`efedllm prompt --help` tells what the options take',
  ERR_NO_CHAT_TEMPLATE: 'use `efedllm prompt` to continue plain text, or a chat model: --model smollm2-135m-instruct',
  ERR_PROMPT_TOO_LONG: 'shorten the prompt, or the history with /reset',
  ERR_UNKNOWN_MODEL: '`efedllm models` lists the names, and what is here already',
  ERR_HUB_UNREACHABLE: 'is there a network? the address comes from HF_ENDPOINT where that is set',
  ERR_OTHER_MODEL: 'give --model the model that the peers host; `efedllm peer` names it when it starts',
  ERR_RANGE_GAP: 'join a peer that hosts them, or run them here: --local',
  ERR_ROUTE_LOST: 'start a peer that hosts these layers, or --join more peers: those that are not needed are spares; --wait waits longer',
  ERR_PEER_UNREACHABLE: 'check the address, and that the peer is running; it prints its addresses when it starts',
  ERR_INVALID_ADDRESS: 'an address looks like /ip4/192.168.1.7/tcp/4001/p2p/12D3KooW…',
  ERR_INVALID_INVITE: '`efedllm invite`, where a peer runs, prints one to paste',
  ERR_NETWORK_KEY: 'efedllm key generate FILE makes one',
  ERR_INVALID_PEER_ID: 'a peer prints its id when it starts; it looks like 12D3KooW…',
  ERR_INCOMPATIBLE_VERSION: 'run the same version on both sides',
  ERR_STAGE_LOST: 'the peer has ended, or the network to it; try again with the peers that are left, or start it again',
  ERR_STAGE_STALLED: 'the peer is overloaded or frozen; --deadline waits longer',
  ERR_BLOCKS_UNAVAILABLE: 'what has come is kept: try again, or with more peers in --from',
  ERR_UNIT_MISSING: 'efedllm peer --from fetches the layers that it is to host',
  ERR_DEADLINE: '--deadline waits longer',
  ERR_NO_PLAN: 'add a machine or memory; --context and --sessions make the KV cache smaller',
  ERR_ZERO_CAPACITY: 'add a machine or memory; --context and --sessions make the KV cache smaller',
  ERR_SVD_BUDGET_TOO_SMALL: 'give more bytes with --budget, or more bits with --target-bits',
  ERR_CALIBRATION_TEXT_TOO_SHORT: 'name a longer text with --text, or take fewer --tokens and --held-out',
  ERR_COMPRESSION_OPTION: '`efedllm compress --help` tells more',
  EACCES: 'check the permissions',
  ENOSPC: 'make room on the disk'
}

/** Failures that lie in what was typed. */
const usageCodes = new Set(['ERR_USAGE', 'ERR_INVALID_OPTION', 'ERR_COMPRESSION_OPTION', 'ERR_INVALID_ADDRESS', 'ERR_MODEL_REFERENCE', 'ERR_UNKNOWN_MODEL', 'ERR_INVALID_MACHINE', 'ERR_INVALID_INVITE', 'ERR_NETWORK_KEY', 'ERR_INVALID_PEER_ID'])

/** Decides how an error is shown; never throws, whatever was thrown. */
export function describeError (error: unknown): Described {
  const fields = (typeof error === 'object' && error !== null ? error : {}) as Partial<Record<'name' | 'code' | 'message' | 'hint' | 'retryable', unknown>>
  const code = typeof fields.code === 'string' ? fields.code : undefined
  const message = oneLine(typeof fields.message === 'string' && fields.message !== '' ? fields.message : String(error))
  const interrupted = code === 'ERR_INTERRUPTED' || fields.name === 'AbortError'
  const usage = usageCodes.has(code ?? '')
  return {
    name: typeof fields.name === 'string' ? fields.name : 'Error',
    code,
    message,
    hint: typeof fields.hint === 'string' ? oneLine(fields.hint) : hints[code ?? ''] ?? (code === undefined && !interrupted ? 'this looks like a bug; DEBUG=efedllm:* shows where it happened' : undefined),
    retryable: fields.retryable === true,
    exitCode: interrupted ? EXIT_INTERRUPTED : usage ? EXIT_USAGE : EXIT_FAILURE
  }
}

/** Shows an error on stderr, and on stdout where JSON was asked for; gives the exit code. */
export function reportError (terminal: Terminal, error: unknown, options: { json?: boolean } = {}): number {
  const { name, code, message, hint, retryable, exitCode } = describeError(error)
  if (debugging(terminal.env.DEBUG) && error instanceof Error) note(terminal, error.stack ?? '')
  note(terminal, `${style(terminal, 'red', 'efedllm:')} ${message}`)
  if (hint !== undefined) note(terminal, style(terminal, 'dim', `  ${hint}`))
  if (options.json === true) {
    terminal.stdout.write(`${JSON.stringify({ error: { name, code: code ?? null, message, retryable } })}\n`)
  }
  return exitCode
}

function debugging (value: string | undefined): boolean {
  return value?.split(',').some(name => name === '*' || name.startsWith('efedllm')) === true
}

// control characters may come from a peer or a file, and would steer the terminal
function oneLine (text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/\s*\n\s*/g, ' ').replace(/[\u0000-\u001f\u007f-\u009f]/g, '').trim()
}
