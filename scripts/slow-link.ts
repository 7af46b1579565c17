/** A link of so many bytes a second, in each direction, over all connections: for benchmarks on one machine. */
import { connect, createServer } from 'node:net'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import type { AddressInfo, Socket } from 'node:net'

/** Gives the port of 127.0.0.1 at which `port` can be reached. */
export async function slowLink (port: number, bytesPerSecond: number): Promise<number> {
  const directions = [{ free: 0 }, { free: 0 }]

  async function pass (from: Socket, to: Socket, direction: { free: number }): Promise<void> {
    try {
      for await (const chunk of from) {
        const { length } = chunk as Buffer
        const now = performance.now()
        direction.free = Math.max(now, direction.free) + 1000 * length / bytesPerSecond
        // timers are whole milliseconds, so small messages are not held up for less
        if (direction.free - now >= 1) await pause(direction.free - now)
        if (!to.write(chunk)) await once(to, 'drain')
      }
    } catch {
      // either end may be gone at any time
    }
    to.destroy()
    from.destroy()
  }

  const server = createServer({ noDelay: true }, socket => {
    const onward = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.on('error', () => onward.destroy())
    onward.on('error', () => socket.destroy())
    pass(socket, onward, directions[0])
    pass(onward, socket, directions[1])
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  server.unref()
  return (server.address() as AddressInfo).port
}
