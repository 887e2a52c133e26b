import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { withUrl } from './url.ts'

/** A way to Postgres that a test can cut. */
export type DatabaseProxy = {
  /** The URL it was opened for, led through the proxy. */
  url: string
  /** The same way for another role. */
  through(url: string): string
  /** Cuts every connection and refuses new ones, as a server that was stopped does. */
  down(): Promise<void>
  up(): Promise<void>
  /** Connections of this application_name stay open and carry nothing any more. */
  freeze(applicationName: string): void
  close(): Promise<void>
}

type Line = { client: Socket; upstream: Socket; startup: string }

/** @param target where Postgres is; the proxy stands on a free port of 127.0.0.1 */
export async function openProxy(target: string): Promise<DatabaseProxy> {
  const { hostname, port: targetPort } = new URL(target)
  const lines = new Set<Line>()
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(targetPort || 5432), hostname)
    const line: Line = { client, upstream, startup: '' }
    lines.add(line)
    client.once('data', (bytes) => {
      line.startup = bytes.toString('latin1')
    })
    client.pipe(upstream).pipe(client)
    const end = () => {
      lines.delete(line)
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end)
  })
  const listen = async (port: number) => void (await once(server.listen(port, '127.0.0.1'), 'listening'))
  await listen(0)
  const { port } = server.address() as AddressInfo
  const through = (url: string) => withUrl(url, { hostname: '127.0.0.1', port: String(port) })
  const down = async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const { client, upstream } of lines) {
      client.destroy()
      upstream.destroy()
    }
    await closed
  }
  return {
    url: through(target),
    through,
    down,
    up: () => listen(port),
    freeze: (applicationName) => {
      for (const { client, upstream, startup } of lines)
        if (startup.includes(`application_name\0${applicationName}\0`)) {
          client.unpipe(upstream)
          upstream.unpipe(client)
        }
    },
    close: down,
  }
}
