import { cpus, totalmem } from 'node:os'
import { median, type Sample } from './load.ts'

/** A bound on a ratio: what is required, and what the design aims at. */
export type Budget = { required?: number; design?: number }

export type Result = {
  name: string
  /** What is compared with what. */
  title: string
  /** Where lower is better, the budget is an upper bound. */
  better: 'higher' | 'lower'
  /** What the ratio compares, with its unit. */
  figure: { name: string; of: (sample: Sample) => number; text: (value: number) => string }
  /** One sample a round. */
  tenon: Sample[]
  base: Sample[]
  budget: Budget
  notes: string[]
}

const ratiosOf = ({ tenon, base, figure }: Result): number[] =>
  tenon.map((sample, round) => figure.of(sample) / figure.of(base[round] as Sample))

export const failuresOf = ({ tenon, base }: Result): string[] => [
  ...tenon.flatMap(({ failures }) => failures.map((failure) => `Tenon: ${failure}`)),
  ...base.flatMap(({ failures }) => failures.map((failure) => `baseline: ${failure}`)),
]

function verdict(result: Result): string {
  if (failuresOf(result).length > 0) return '**failed**'
  const ratio = median(ratiosOf(result))
  const meets = (bound: number | undefined) =>
    bound === undefined || (result.better === 'higher' ? ratio >= bound : ratio <= bound)
  if (!meets(result.budget.required)) return '**missed**'
  return meets(result.budget.design) ? 'met' : 'met, not the design’s'
}

const bound = (result: Result, value: number | undefined) =>
  value === undefined ? '–' : `${result.better === 'higher' ? '≥' : '≤'} ${value}×`
const times = (value: number) => `${value.toFixed(2)}×`
const thousands = (value: number) => Math.round(value).toLocaleString('en-US')
const ms = (value: number | undefined) => (value === undefined ? '-' : value.toFixed(1))
const us = (value: number | undefined) => (value === undefined ? '-' : value.toFixed(value < 100 ? 1 : 0))
const share = (value: number | undefined) => (value === undefined ? '-' : `${Math.round(value * 100)}%`)

const summaryHead = ['scenario', 'figure', 'Tenon', 'baseline', 'ratio (min–max)', 'required', 'design', 'verdict']

function summaryOf(result: Result): string[] {
  const ratios = ratiosOf(result)
  const of = (samples: Sample[]) => result.figure.text(median(samples.map(result.figure.of)))
  const { required, design } = result.budget
  return [
    ...[result.name, result.figure.name, of(result.tenon), of(result.base)],
    `${times(median(ratios))} (${times(Math.min(...ratios))}–${times(Math.max(...ratios))})`,
    ...[bound(result, required), bound(result, design), verdict(result)],
  ]
}

const detailHead = ['scenario', 'side', 'a second', 'p50 ms', 'p99 ms', 'Node µs', 'Postgres µs', 'Node busy', 'errors']

function detailsOf(result: Result): string[][] {
  return (['tenon', 'base'] as const).map((side) => {
    const samples = result[side]
    const of = (pick: (sample: Sample) => number | undefined) => {
      const known = samples.map(pick).filter((value) => value !== undefined)
      return known.length === 0 ? undefined : median(known)
    }
    const failures = new Set(samples.flatMap((sample) => sample.failures))
    return [
      ...[result.name, side === 'tenon' ? 'Tenon' : 'baseline', thousands(of((sample) => sample.perSecond) ?? 0)],
      ...[ms(of(({ p50 }) => p50)), ms(of(({ p99 }) => p99))],
      ...[us(of(({ nodeUs }) => nodeUs)), us(of(({ postgresUs }) => postgresUs)), share(of(({ busy }) => busy))],
      failures.size === 0 ? '0' : [...failures].join('; '),
    ]
  })
}

/** A Markdown table, which also reads well on a terminal. */
function table(head: string[], rows: string[][]): string {
  const widths = head.map((name, at) => Math.max(name.length, ...rows.map((row) => row[at]?.length ?? 0)))
  const line = (cells: string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at] as number)).join(' | ')} |`
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n')
}

export type Run = { command: string; postgres: string; rounds: number; seconds: number; connections: number }

/**
 * The whole report as Markdown.
 * @param remarks of scenarios that compare nothing
 */
export function report(results: Result[], remarks: string[], run: Run): string {
  const machine = cpus()
  const explained = results.map(({ name, title }) => `- **${name}**: ${title}`)
  const notes = results.flatMap(({ name, notes }) => notes.map((note) => `- ${name}: ${note}`))
  const memory = `${Math.round(totalmem() / 2 ** 30)} GB`
  return [
    '# Bench results',
    '',
    `- ${new Date().toISOString().slice(0, 10)}, \`${run.command}\``,
    `- ${machine.length} cores (${machine[0]?.model.trim()}), ${memory} memory, ${process.platform}-${process.arch}`,
    `- Node ${process.versions.node}, Postgres ${run.postgres}`,
    `- ${run.rounds} rounds of ${run.seconds} s a side, sides in turn, ${run.connections} connections`,
    '',
    table(summaryHead, results.map(summaryOf)),
    '',
    'Medians of all rounds; a ratio is Tenon ÷ baseline of the same round. CPU is per request (per row in an import).',
    '',
    table(detailHead, results.flatMap(detailsOf)),
    '',
    ...explained,
    '',
    ...(notes.length > 0 ? [...notes, ''] : []),
    ...(remarks.length > 0 ? [...remarks, ''] : []),
  ].join('\n')
}
