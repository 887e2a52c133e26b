import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Type } from '@sinclair/typebox'
import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { serveBench } from './child.ts'
import { stackAnswer, stackModel } from './stack.ts'

/** The service as production runs it, over a database that is migrated, with two routes of the bench's own. */
const config = loadConfig()
const app = await buildApp(config, config.database.url as string)

app.get(
  '/bench/stack',
  { config: { permission: 'signed_in' }, schema: { hide: true, response: { 200: stackModel } } },
  async () => stackAnswer(),
)

const resolutionMs = 5
const loop = monitorEventLoopDelay({ resolution: resolutionMs })
app.get(
  '/bench/event-loop',
  {
    config: { public: true },
    schema: { hide: true, response: { 200: Type.Object({ p99_ms: Type.Number(), max_ms: Type.Number() }) } },
  },
  async () => {
    // From the first call on: the clock of this wakes the loop 200 times a second.
    loop.enable()
    // The histogram holds whole intervals, of which the resolution was asked for.
    const [p99_ms, max_ms] = [loop.percentile(99), loop.max].map((ns) => Math.max(0, ns / 1e6 - resolutionMs))
    loop.reset()
    return { p99_ms, max_ms }
  },
)

app.lifecycle.state = 'ready'
await serveBench(app)
