import { createServer } from 'node:net'

/** Below the ports that systems give to connections that go out: who starts again finds its port free. */
const FIRST = 20_000
const LAST = 32_000

/** Ports of 127.0.0.1 at which nobody listens now, for those who have to be told one. */
export async function freePorts (count: number): Promise<number[]> {
  const ports: number[] = []
  // tests that run at the same time begin elsewhere
  for (let port = FIRST + (process.pid * 37) % (LAST - FIRST - 1000); ports.length < count && port < LAST; port++) if (await isFree(port)) ports.push(port)
  return ports
}

async function isFree (port: number): Promise<boolean> {
  const server = createServer()
  return await new Promise(resolve => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
