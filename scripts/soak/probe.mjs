// Loaded into peer processes before anything else: tells over the channel to
// the parent what the process needs, without what is garbage already.

process.on('message', () => {
  globalThis.gc?.()
  process.send?.(process.memoryUsage())
})
// a question does not keep the process alive
process.channel?.unref()
