import SerializerSelector from '@fastify/fast-json-stringify-compiler'

type Serialize = (data: unknown) => string
type Build = (externalSchemas: unknown, options: unknown) => (route: unknown) => Serialize

/** Fastify's own serialisers, each compiled at its first use, as validators are. */
export const buildSerializer: Build = (externalSchemas, options) => {
  const compile = (SerializerSelector() as unknown as Build)(externalSchemas, options)
  return (route) => {
    let serialize: Serialize | undefined
    return (data) => {
      serialize ??= compile(route)
      return serialize(data)
    }
  }
}
