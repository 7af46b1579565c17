/** Worker threads that answer requests one at a time, for work that must not block the caller's event loop. */
export { createThreads } from './threads.ts'
export type { Threads, ThreadsInit } from './threads.ts'
export { serve } from './serve.ts'
export { ThreadFailedError } from './errors.ts'
