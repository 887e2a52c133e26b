const divisor = (a: bigint, b: bigint): bigint => (b === 0n ? a : divisor(b, a % b))
const abs = (value: bigint) => (value < 0n ? -value : value)

/** An exact fraction; nothing is rounded before it is shown. */
export class Fraction {
  readonly over: bigint
  readonly under: bigint

  constructor(over: bigint, under = 1n) {
    const shared = divisor(abs(over), abs(under)) * (under < 0n ? -1n : 1n)
    this.over = over / shared
    this.under = under / shared
  }

  /** @param decimal such as `-12.0500`; an empty one is 0 */
  static of(decimal: string | number): Fraction {
    const [whole = '', places = ''] = String(decimal).split('.')
    return new Fraction(BigInt(whole + places), 10n ** BigInt(places.length))
  }

  static sum = (values: Fraction[]): Fraction => values.reduce((total, value) => total.plus(value), new Fraction(0n))

  plus = (other: Fraction) => new Fraction(this.over * other.under + other.over * this.under, this.under * other.under)
  minus = (other: Fraction) => this.plus(new Fraction(-other.over, other.under))
  times = (other: Fraction) => new Fraction(this.over * other.over, this.under * other.under)
  /** @returns null for a denominator of 0 */
  by = (other: Fraction) => (other.over === 0n ? null : new Fraction(this.over * other.under, this.under * other.over))
  exceeds = (other: Fraction) => this.minus(other).over > 0n

  /** With so many places, rounded half away from 0. */
  shown(places: number): string {
    const units = (2n * abs(this.over) * 10n ** BigInt(places) + this.under) / (2n * this.under)
    const digits = String(units).padStart(places + 1, '0')
    return `${this.over < 0n && units > 0n ? '-' : ''}${digits.slice(0, -places)}.${digits.slice(-places)}`
  }
}

/** The least and the greatest of some fractions. */
export const least = (...values: Fraction[]) => values.reduce((a, b) => (a.exceeds(b) ? b : a))
export const greatest = (...values: Fraction[]) => values.reduce((a, b) => (b.exceeds(a) ? b : a))
