import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/** Linux counts CPU time in ticks of 10 ms, whatever the machine. */
const tickUs = 10_000

type Stat = { parent: number; name: string; ownUs: number; endedChildrenUs: number }

function statOf(pid: number | string): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const end = text.lastIndexOf(')')
    const field = text.slice(end + 2).split(' ')
    const us = (index: number) => Number(field[index]) * tickUs
    return {
      parent: Number(field[1]),
      name: text.slice(text.indexOf('(') + 1, end),
      ownUs: us(11) + us(12),
      endedChildrenUs: us(13) + us(14),
    }
  } catch {
    return undefined // another system, or the process has ended
  }
}

/** CPU time that a process has used, in µs; undefined where the system does not say. */
export const cpuUsOf = (pid: number): number | undefined => statOf(pid)?.ownUs

/** The same for a process with its children, living and ended: a postmaster and all that works for it. */
export function treeCpuUsOf(pid: number | undefined): number | undefined {
  const root = pid === undefined ? undefined : statOf(pid)
  if (root === undefined) return undefined
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(name))
    .filter((stat) => stat?.parent === pid)
  return children.reduce((sum, child) => sum + (child?.ownUs ?? 0), root.ownUs + root.endedChildrenUs)
}

/** The postmaster of the backend with this process id, where it runs on this machine. */
export function postmasterOf(backend: number): number | undefined {
  const stat = statOf(backend)
  return stat?.name === 'postgres' ? stat.parent : undefined
}

/** Resident memory of a process now and at its highest, in bytes. */
export function memoryOf(pid: number): { now: number; peak: number } | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1_024
    return { now: bytes('VmRSS'), peak: bytes('VmHWM') }
  } catch {
    return undefined
  }
}

/** Lets the kernel count a process's highest memory anew. */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

/** Watches a process from now on. @returns how far above today's its memory has been, in bytes */
export function watchMemory(pid: number): () => number | undefined {
  const before = memoryOf(pid)
  if (before !== undefined) resetPeak(pid)
  return () => {
    const after = memoryOf(pid)
    return before === undefined || after === undefined ? undefined : after.peak - before.now
  }
}
