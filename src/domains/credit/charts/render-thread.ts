/** Runs in a thread of its own: see `drawing.ts`. */
import { serveJobs } from '../../../lib/job-thread.ts'
import { svgOf } from './render.ts'

serveJobs((spec: string) => svgOf(JSON.parse(spec)))
