import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { ImportTarget } from '../../../db/import-target.ts'

export const imports: FastifyPluginAsyncTypebox<{ targets: ImportTarget[] }> = async () => {}
