/** CSV by a regular expression: slow, simple, and written apart from what it checks. */
export function readCsv(text: string): string[][] {
  const records: string[][] = []
  let record: string[] = []
  for (const [, quoted, plain = '', end = ''] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^,\r\n]*))(,|\r?\n|$)/g)) {
    record.push(quoted?.replaceAll('""', '"') ?? plain)
    if (end === ',') continue
    if (record.length > 1 || record[0] !== '') records.push(record)
    record = []
  }
  return records
}

/** The records under their header's names. */
export function readTable(text: string): Record<string, string>[] {
  const [names = [], ...records] = readCsv(text)
  return records.map((cells) => Object.fromEntries(names.map((name, at) => [name, cells[at] ?? ''])))
}

export const writeCsv = (records: string[][], lineEnd = '\n'): string =>
  records.map((cells) => cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(',') + lineEnd).join('')
