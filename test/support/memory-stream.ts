/** What one side of a stream may send before it has to wait for a reader that has paused. */
const ROOM_BYTES = 64 << 10

/** Behaves as a libp2p stream does, within a process and in microtasks: what is sent now arrives soon, in order. */
export class MemoryStream extends EventTarget {
  status = 'open'
  writableNeedsDrain = false
  writeBufferLength = 0
  #other: MemoryStream | undefined
  readonly #arrived: Uint8Array[] = []
  #paused = false

  static pair (): [MemoryStream, MemoryStream] {
    const pair: [MemoryStream, MemoryStream] = [new MemoryStream(), new MemoryStream()]
    pair[0].#other = pair[1]
    pair[1].#other = pair[0]
    return pair
  }

  send (bytes: Uint8Array): boolean {
    if (this.status !== 'open') throw new Error('the stream is closed')
    if (this.writableNeedsDrain) throw new Error('sent to a full stream')
    const other = this.#other!
    // a copy, as another process has one
    other.#arrived.push(bytes.slice())
    this.writeBufferLength += bytes.length
    if (other.#paused) this.writableNeedsDrain = this.writeBufferLength > ROOM_BYTES
    else queueMicrotask(() => other.#deliver())
    return !this.writableNeedsDrain
  }

  pause (): void {
    this.#paused = true
  }

  resume (): void {
    this.#paused = false
    queueMicrotask(() => this.#deliver())
  }

  abort (error: Error): void {
    this.#end('aborted', error)
    this.#other!.#end('reset', Object.assign(new Error('the stream was reset'), { name: 'StreamResetError' }))
  }

  async close (): Promise<void> {
    if (this.status !== 'open') return
    queueMicrotask(() => this.#other!.dispatchEvent(new Event('remoteCloseWrite')))
    this.#end('closed')
  }

  #deliver (): void {
    const other = this.#other!
    while (!this.#paused && this.#arrived.length > 0 && this.status === 'open') {
      const data = this.#arrived.shift()!
      other.writeBufferLength -= data.length
      this.dispatchEvent(Object.assign(new Event('message'), { data }))
    }
    if (!other.writableNeedsDrain || this.#arrived.length > 0 || other.status !== 'open') return
    other.writableNeedsDrain = false
    other.dispatchEvent(new Event('drain'))
  }

  #end (status: string, error?: Error): void {
    if (this.status !== 'open') return
    this.status = status
    queueMicrotask(() => this.dispatchEvent(Object.assign(new Event('close'), { error })))
  }
}
