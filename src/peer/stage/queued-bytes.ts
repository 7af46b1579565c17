import type { PeerLimits } from '../types.ts'

/** Bytes of accepted steps, of each client and of all. */
export interface QueuedBytes {
  /** why so many more are refused; takes them where they are not */
  take (client: string, bytes: number): string | undefined
  give (client: string, bytes: number): void
}

export function createQueuedBytes (limits: Pick<PeerLimits, 'queuedBytesPerClient' | 'queuedBytes'>): QueuedBytes {
  const byClient = new Map<string, number>()
  let all = 0
  return {
    take (client, bytes) {
      const own = (byClient.get(client) ?? 0) + bytes
      if (own > limits.queuedBytesPerClient) return `more than ${limits.queuedBytesPerClient} bytes of one client wait`
      if (all + bytes > limits.queuedBytes) return `more than ${limits.queuedBytes} bytes wait`
      byClient.set(client, own)
      all += bytes
      return undefined
    },
    give (client, bytes) {
      all -= bytes
      const own = byClient.get(client)! - bytes
      if (own > 0) byClient.set(client, own)
      else byClient.delete(client)
    }
  }
}
