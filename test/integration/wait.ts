import { connect } from 'node:net'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'

/** Waits until nobody listens at `/ip4/…/tcp/…` any more: the process behind it is gone. */
export async function untilNobodyListens (address: string): Promise<void> {
  const [, host, port] = /^\/ip4\/([\d.]+)\/tcp\/(\d+)/.exec(address) ?? []
  while (await listens(host, Number(port))) await pause(20)
}

async function listens (host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
