import { expect, test } from 'vitest'
import { preferredType } from '../../src/lib/accept.ts'

const offered = ['application/json', 'text/csv', 'application/x-ndjson'] as const

test('the type with the highest quality is taken, of equals the first, and none where none is accepted', () => {
  for (const [accept, expected] of [
    [undefined, 'application/json'],
    ['*/*', 'application/json'],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'application/json'],
    ['text/csv', 'text/csv'],
    ['TEXT/CSV; charset=utf-8', 'text/csv'],
    ['text/*', 'text/csv'],
    ['application/*', 'application/json'],
    ['application/json;q=0.5, text/csv', 'text/csv'],
    ['application/json;q=0.5, text/csv;q=0.4, application/x-ndjson;q=0.6', 'application/x-ndjson'],
    ['*/*;q=0.1, application/json;q=0', 'text/csv'],
    ['application/json, text/csv', 'application/json'],
    ['text/csv;q=0', undefined],
    ['image/png', undefined],
    ['', undefined],
    ['text/csv;q=2', undefined],
    ['text/csv;q=x', undefined],
  ] as const)
    expect(preferredType(accept, offered), String(accept)).toBe(expected)
})
