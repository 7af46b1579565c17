import { expect } from 'chai'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { createSlowLink } from '../../support/slow-link.ts'
import type { SlowLink, SlowLinkInit } from '../../support/slow-link.ts'

describe('slow link', () => {
  let server: Server
  let link: SlowLink
  const clients: Socket[] = []
  /** connections that have come through */
  const behind: Socket[] = []

  /** Behind the link is somebody who says back whatever he hears. */
  async function open (init?: SlowLinkInit): Promise<void> {
    server = createServer({ allowHalfOpen: true }, socket => {
      behind.push(socket)
      socket.on('error', () => {}).on('close', () => behind.splice(behind.indexOf(socket), 1)).pipe(socket)
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    link = await createSlowLink(init)
    link.leadTo((server.address() as AddressInfo).port)
  }

  function dial (): Socket {
    const socket = connect({ host: '127.0.0.1', port: link.port, allowHalfOpen: true })
    socket.on('error', () => {})
    clients.push(socket)
    return socket
  }

  /** Whether it ended with an error. */
  async function closed (socket: Socket): Promise<boolean> {
    return await new Promise(resolve => socket.on('close', resolve))
  }

  /** So many bytes of what comes back. */
  async function hear (socket: Socket, length: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    let heard = 0
    return await new Promise(resolve => {
      const take = (piece: Buffer): void => {
        pieces.push(piece)
        heard += piece.length
        if (heard < length) return
        socket.off('data', take).pause()
        resolve(Buffer.concat(pieces))
      }
      socket.on('data', take).resume()
    })
  }

  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy()
    await link.stop()
    await new Promise(resolve => server.close(resolve))
  })

  it('refuses whoever comes while it is cut, or while nothing is behind it', async () => {
    await open()
    link.cut()
    expect(await closed(dial())).to.equal(true)
    link.mend()
    const socket = dial()
    socket.write('back again')
    expect(String(await hear(socket, 10))).to.equal('back again')
    server.close()
    const blind = await createSlowLink()
    expect(await closed(connect(blind.port, '127.0.0.1').on('error', () => {}))).to.equal(true)
    await blind.stop()
  })

  it('ends all connections when it is cut', async () => {
    await open()
    const socket = dial()
    socket.write('first')
    await hear(socket, 5)
    expect(link.connections).to.equal(1)
    link.cut()
    expect(await closed(socket)).to.equal(true)
    expect(link.connections).to.equal(0)
  })

  it('passes nothing while it is frozen, and everything afterwards', async () => {
    await open()
    const socket = dial()
    socket.write('one ')
    expect(String(await hear(socket, 4))).to.equal('one ')
    link.freeze()
    socket.write('two ')
    const other = dial()
    await once(other, 'connect')
    other.write('else')
    const { bytesThere } = link
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(link.bytesThere).to.equal(bytesThere)
    link.mend()
    expect(String(await hear(socket, 4))).to.equal('two ')
    expect(String(await hear(other, 4))).to.equal('else')
  })

  it('keeps the end of a connection to itself while it is frozen', async () => {
    await open()
    const socket = dial()
    socket.write('hello')
    await hear(socket, 5)
    link.freeze()
    socket.destroy()
    await closed(socket)
    await new Promise(resolve => setTimeout(resolve, 20))
    expect([link.connections, behind.length]).to.deep.equal([1, 1])
    link.mend()
    while (link.connections > 0 || behind.length > 0) await new Promise(resolve => setImmediate(resolve))
  })

  it('takes its time both ways, never less, and keeps the order and the end of what is sent', async () => {
    const hiccups = [0, 20, 0, 5]
    await open({ delay: 30, hiccup: () => hiccups.shift() ?? 0 })
    const socket = dial()
    await once(socket, 'connect')
    const started = performance.now()
    socket.write('a')
    await hear(socket, 1)
    expect(performance.now() - started).to.be.at.least(60)
    const text = Array.from({ length: 50 }, (_value, index) => `piece ${index};`)
    for (const piece of text) socket.write(piece)
    socket.end()
    expect(String(await hear(socket, text.join('').length))).to.equal(text.join(''))
    socket.resume()
    await once(socket, 'end')
    expect(link.bytesThere).to.equal(1 + text.join('').length)
    expect(link.bytesBack).to.equal(link.bytesThere)
  })

  it('does not lose bytes where a lot is sent to a slow reader', async () => {
    await open({ delay: 5 })
    const socket = dial()
    const lot = Buffer.alloc(40 << 20, 7)
    socket.write(lot)
    expect((await hear(socket, lot.length)).equals(lot)).to.equal(true)
  })
})
