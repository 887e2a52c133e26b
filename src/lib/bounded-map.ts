/** A map that forgets its oldest entry when it is full, so that a cache cannot grow with what clients send. */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #max: number

  constructor(max: number) {
    super()
    this.#max = max
  }

  override set(key: K, value: V): this {
    if (this.size >= this.#max && !this.has(key)) this.delete(this.keys().next().value as K)
    return super.set(key, value)
  }
}
