import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'

/** How long the server is left alone after a piece of 64 KB, which it loads in about half of that. */
const pauseMs = 20

const channel = 'http.server.request.start'

/**
 * Lets requests that come meanwhile have their share of the database: beside them an import is loaded piece by piece
 * with pauses, alone as fast as it goes.
 */
export class Pace {
  #requests = 0
  readonly #count = () => {
    this.#requests++
  }

  constructor() {
    subscribe(channel, this.#count)
  }

  /** To be awaited after each piece. */
  async giveWay(): Promise<void> {
    const came = this.#requests > 0
    this.#requests = 0
    await (came ? sleep(pauseMs) : setImmediate())
  }

  /** Counts no more. */
  stop(): void {
    unsubscribe(channel, this.#count)
  }
}
