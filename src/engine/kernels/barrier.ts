// A barrier for a few threads over three words of shared memory: arrivals, generation, sleepers.

/** Returns when `threads` threads have called it. Spins `spins` times, then sleeps until woken. */
export function barrier (at: usize, threads: i32, spins: i32): void {
  if (threads == 1) return
  const generation = atomic.load<i32>(at, 4)
  if (atomic.add<i32>(at, 1) == threads - 1) {
    atomic.store<i32>(at, 0)
    atomic.add<i32>(at, 1, 4)
    // waking is a system call: only where somebody sleeps. A thread that counts itself after this looked finds the
    // new generation and does not sleep.
    if (atomic.load<i32>(at, 8) != 0) atomic.notify(at + 4, -1)
    return
  }
  for (let i = 0; i < spins; i++) if (atomic.load<i32>(at, 4) != generation) return
  atomic.add<i32>(at, 1, 8)
  while (atomic.load<i32>(at, 4) == generation) atomic.wait<i32>(at + 4, generation, -1)
  atomic.sub<i32>(at, 1, 8)
}
