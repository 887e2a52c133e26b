import { loadConfig } from './config.ts'
import { explain, serve } from './serve.ts'

try {
  await serve(loadConfig())
} catch (error) {
  console.error(explain(error))
  process.exit(1)
}
