// A barrier for a few threads over three words of shared memory: arrivals, generation, sleepers. In two halves, for who has
// something else to do before it needs the others.

/** Counts a thread of `threads` as arrived; gives the generation that `awaitAll` waits for the end of. */
export function arrive (at: usize, threads: i32): i32 {
  const generation = atomic.load<i32>(at, 4)
  if (atomic.add<i32>(at, 1) == threads - 1) {
    atomic.store<i32>(at, 0)
    atomic.add<i32>(at, 1, 4)
    // waking is a system call: only where somebody sleeps. A thread that counts itself after this looked finds the
    // new generation and does not sleep.
    if (atomic.load<i32>(at, 8) != 0) atomic.notify(at + 4, -1)
  }
  return generation
}

/** Returns when all threads of a generation have arrived. Spins `spins` times, then sleeps until woken. */
export function awaitAll (at: usize, generation: i32, spins: i32): void {
  for (let i = 0; i < spins; i++) if (atomic.load<i32>(at, 4) != generation) return
  atomic.add<i32>(at, 1, 8)
  while (atomic.load<i32>(at, 4) == generation) atomic.wait<i32>(at + 4, generation, -1)
  atomic.sub<i32>(at, 1, 8)
}

/** Returns when `threads` threads have called it. */
export function barrier (at: usize, threads: i32, spins: i32): void {
  if (threads > 1) awaitAll(at, arrive(at, threads), spins)
}
