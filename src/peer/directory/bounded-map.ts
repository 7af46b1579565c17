/** A map that forgets what was longest not set, once it holds more than its bound. */
export class BoundedMap<Key, Value> {
  readonly #entries = new Map<Key, Value>()
  readonly #maximum: number

  constructor (maximum: number) {
    this.#maximum = maximum
  }

  get size (): number {
    return this.#entries.size
  }

  get (key: Key): Value | undefined {
    return this.#entries.get(key)
  }

  set (key: Key, value: Value): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size > this.#maximum) this.#entries.delete(this.#entries.keys().next().value!)
  }

  delete (key: Key): boolean {
    return this.#entries.delete(key)
  }

  /** the longest not set first; entries may be deleted meanwhile */
  [Symbol.iterator] (): IterableIterator<[Key, Value]> {
    return this.#entries[Symbol.iterator]()
  }

  clear (): void {
    this.#entries.clear()
  }
}
