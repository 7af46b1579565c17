interface Event {
  at: number
  order: number
  run: () => void
}

/** What happens when, in order of time; of one moment, in the order in which it was scheduled. */
export interface EventQueue {
  readonly now: number
  schedule: (at: number, run: () => void) => void
  /** does all that happens up to a time; `after` each event */
  runUntil: (end: number, after?: () => void) => void
}

export function createEventQueue (start: number): EventQueue {
  const heap: Event[] = []
  let now = start
  let order = 0
  const isBefore = (a: Event, b: Event) => a.at < b.at || (a.at === b.at && a.order < b.order)

  function push (event: Event): void {
    let child = heap.push(event) - 1
    while (child > 0) {
      const parent = (child - 1) >> 1
      if (!isBefore(event, heap[parent])) break
      heap[child] = heap[parent]
      child = parent
    }
    heap[child] = event
  }

  function pop (): Event {
    const first = heap[0]
    const last = heap.pop()!
    if (heap.length === 0) return first
    let parent = 0
    for (;;) {
      let child = 2 * parent + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++
      if (!isBefore(heap[child], last)) break
      heap[parent] = heap[child]
      parent = child
    }
    heap[parent] = last
    return first
  }

  return {
    get now () {
      return now
    },
    schedule: (at, run) => push({ at: Math.max(at, now), order: order++, run }),
    runUntil (end, after) {
      while (heap.length > 0 && heap[0].at <= end) {
        const event = pop()
        now = event.at
        event.run()
        after?.()
      }
      now = end
    }
  }
}
