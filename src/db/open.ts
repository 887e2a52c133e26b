import type { Config } from '../config.ts'
import { startEmbedded } from './embedded.ts'

export type Databases = { url: string; ownerUrl: string; stop(): Promise<void> }

/** The configured database, or the embedded one. */
export async function openDatabase(config: Config, log: (message: string) => void): Promise<Databases> {
  const { url, migrationUrl } = config.database
  if (url === undefined) return startEmbedded({ dataDir: config.dataDir, log })
  return { url, ownerUrl: migrationUrl ?? url, stop: async () => undefined }
}
