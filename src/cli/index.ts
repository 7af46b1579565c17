/**
 * The command line: one file per command under `commands`. Each reads its
 * options, calls the library and prints; what it prints with `--json` is
 * described in docs/json.md.
 */
export { main } from './main.ts'
export type { Terminal } from './terminal.ts'
