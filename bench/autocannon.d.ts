/** The part of autocannon that the bench uses; the package brings no types. */
declare module 'autocannon' {
  import type { EventEmitter } from 'node:events'

  export type Request = { method?: string; path?: string; headers?: Record<string, string>; body?: string }
  export type Client = {
    setRequests(requests: (Request & { setupRequest?: (request: Request) => Request })[]): void
  }
  export type Options = {
    url: string
    connections: number
    /** Seconds. */
    duration: number
    /** Milliseconds between looks at the clock: the most by which a run is longer than asked. */
    sampleInt: number
    setupClient: (client: Client) => void
  }
  export type Result = { errors: number; timeouts: number; non2xx: number; '2xx': number }
  export default function autocannon(options: Options): EventEmitter & PromiseLike<Result> & { stop(): void }
}
