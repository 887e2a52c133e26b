import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import PostalMime, { type Email } from 'postal-mime'
import { SMTPServer } from 'smtp-server'

/** A mail server on 127.0.0.1 that keeps what it is sent. */
export type Smtp = {
  /** `smtp://…`, for SMTP_URL. */
  url: string
  port: number
  /** What it accepted, oldest first: the message, its envelope's recipients, and its source. */
  received: { email: Email; recipients: string[]; raw: string }[]
  close(): Promise<void>
}

type Behaviour = {
  port?: number
  /** Refuses recipients or messages by throwing an error with a `responseCode`. */
  onRecipient?: (address: string) => void
  onMessage?: (raw: string) => void | Promise<void>
}

export const refusal = (responseCode: number, text: string) => Object.assign(new Error(text), { responseCode })

export async function startSmtp({ port = 0, onRecipient, onMessage }: Behaviour = {}): Promise<Smtp> {
  const received: Smtp['received'] = []
  const take = async (stream: AsyncIterable<Buffer>, recipients: string[]) => {
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk)
    const raw = Buffer.concat(chunks).toString()
    await onMessage?.(raw)
    received.push({ email: await PostalMime.parse(raw), recipients, raw })
  }
  const server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    disableReverseLookup: true,
    closeTimeout: 100,
    logger: false,
    onRcptTo: ({ address }, _session, done) => {
      try {
        onRecipient?.(address)
        done()
      } catch (error) {
        done(error as Error)
      }
    },
    onData: (stream, { envelope }, done) => {
      take(
        stream,
        envelope.rcptTo.map(({ address }) => address),
      ).then(
        () => done(),
        (error: Error) => done(error),
      )
    },
  })
  server.on('error', () => undefined)
  const listener = server.listen(port, '127.0.0.1')
  await once(listener, 'listening')
  const bound = (listener.address() as AddressInfo).port
  return {
    url: `smtp://127.0.0.1:${bound}`,
    port: bound,
    received,
    close: () => new Promise((closed) => server.close(() => closed())),
  }
}

/** A server that accepts connections and says nothing. */
export async function startMute(): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => sockets.add(socket.on('error', () => undefined)))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((closed) => server.close(closed))
    },
  }
}
