import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/** Bytes that may wait in one direction of one connection before its sender has to: more than two peers ever have under way. */
const WAITING_BYTES = 32 << 20

export interface SlowLinkInit {
  /** milliseconds that bytes take, each way; default 0 */
  delay?: number
  /** further milliseconds for a piece of bytes, and for all behind it; asked for each */
  hiccup?: () => number
}

/**
 * A TCP proxy on 127.0.0.1 in front of a port: what goes through it takes its
 * time, and it can be cut or frozen. Bytes keep their order, as they do in TCP.
 */
export interface SlowLink {
  /** where to connect instead */
  readonly port: number
  /** the same as a multiaddr */
  readonly address: string
  /** bytes that have passed towards the port, over all connections */
  readonly bytesThere: number
  /** and those that came back */
  readonly bytesBack: number
  /** connections that are there */
  readonly connections: number
  /** the port behind it; connections that come before are refused */
  leadTo (port: number): void
  /** ends all connections, and every new one, until `mend` */
  cut (): void
  /** nothing passes until `mend`, not even that a connection has ended; connections stay, and new ones are taken */
  freeze (): void
  mend (): void
  /** idempotent */
  stop (): Promise<void>
}

type State = 'whole' | 'frozen' | 'cut' | 'stopped'

/** One direction of a connection. */
interface Direction {
  flush (): void
  stop (): void
}

export async function createSlowLink ({ delay = 0, hiccup = () => 0 }: SlowLinkInit = {}): Promise<SlowLink> {
  const ends = new Map<Socket, Direction[]>()
  const bytes = { there: 0, back: 0 }
  /** what the other side will hear of when the link is frozen no more */
  let later: Array<() => void> = []
  let target: number | undefined
  let state: State = 'whole'
  let stopping: Promise<void> | undefined

  function direct (from: Socket, to: Socket, way: keyof typeof bytes): Direction {
    /** undefined: the end of what is sent */
    const queue: Array<{ due: number, piece: Buffer | undefined }> = []
    let waiting = 0
    let last = 0
    let timer: NodeJS.Timeout | undefined

    function flush (): void {
      clearTimeout(timer)
      timer = undefined
      if (state === 'frozen') return
      while (queue.length > 0 && queue[0].due <= performance.now()) pass(queue.shift()!.piece)
      // whole milliseconds, and never too early: a timer may fire within the one before
      if (queue.length > 0) timer = setTimeout(flush, Math.max(1, Math.ceil(queue[0].due - performance.now())))
    }

    function pass (piece: Buffer | undefined): void {
      if (piece === undefined) {
        to.end()
        return
      }
      bytes[way] += piece.length
      waiting -= piece.length
      to.write(piece)
      if (waiting < WAITING_BYTES) from.resume()
    }

    function take (piece: Buffer | undefined): void {
      waiting += piece?.length ?? 0
      last = Math.max(last, performance.now() + delay + hiccup())
      queue.push({ due: last, piece })
      if (waiting >= WAITING_BYTES) from.pause()
      if (timer === undefined) flush()
    }

    from.on('data', take)
    from.on('end', () => take(undefined))
    return { flush, stop: () => clearTimeout(timer) }
  }

  function join (near: Socket): void {
    near.on('error', () => {})
    if (state === 'cut' || state === 'stopped' || target === undefined) {
      near.resetAndDestroy()
      return
    }
    const far = connect({ host: '127.0.0.1', port: target, noDelay: true, allowHalfOpen: true })
    far.on('error', () => {})
    const directions = [direct(near, far, 'there'), direct(far, near, 'back')]
    ends.set(near, directions)
    near.on('close', () => unlessFrozen(() => {
      for (const direction of directions) direction.stop()
      ends.delete(near)
      far.destroy()
    }))
    far.on('close', hadError => unlessFrozen(() => { if (hadError) near.resetAndDestroy() }))
  }

  function unlessFrozen (act: () => void): void {
    if (state === 'frozen') later.push(act)
    else act()
  }

  function enter (next: State): void {
    state = next
    const acts = later
    later = []
    for (const act of acts) act()
  }

  function endAll (): void {
    for (const near of ends.keys()) near.resetAndDestroy()
  }

  // without noDelay the system would wait for acknowledgements before it sends small pieces
  const server = createServer({ noDelay: true, allowHalfOpen: true }, join)
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo

  return {
    port,
    address: `/ip4/127.0.0.1/tcp/${port}`,
    get bytesThere () {
      return bytes.there
    },
    get bytesBack () {
      return bytes.back
    },
    get connections () {
      return ends.size
    },
    leadTo (port) {
      target = port
    },
    cut () {
      enter('cut')
      endAll()
    },
    freeze () {
      state = 'frozen'
    },
    mend () {
      enter('whole')
      for (const direction of [...ends.values()].flat()) direction.flush()
    },
    async stop () {
      stopping ??= new Promise<void>(resolve => {
        enter('stopped')
        server.close(() => resolve())
        endAll()
      })
      await stopping
    }
  }
}
