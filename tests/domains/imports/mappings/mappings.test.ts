import { describe, expect } from 'vitest'
import { type Client, test } from '../../../helpers/api.ts'
import { newPortfolio } from '../../../helpers/credit.ts'
import { header, importCsv, tapeOf } from '../../../helpers/imports.ts'

const fields = Object.fromEntries(header.split(',').map((name) => [name, { column: name }]))
const path = '/import-mappings'

const save = async (owner: Client, more: object = {}) => {
  const { status, body } = await owner.post(path, { name: 'Tape', mapping: { fields }, ...more })
  expect(status, JSON.stringify(body)).toBe(201)
  return body
}

describe('a saved mapping', () => {
  test('is made, read, listed, changed under its ETag and deleted', async ({ owner }) => {
    const mapping = { rest: 'attributes', date_format: 'M/D/YYYY', ignore: ['Zip'], fields }
    const made = await owner.post(path, { name: 'SBA', mapping })
    expect(made).toMatchObject({ status: 201, body: { name: 'SBA', target: 'loans', mapping, version: 1 } })
    expect(made.headers).toMatchObject({ etag: '"1"', location: `/api/v1/import-mappings/${made.body.id}` })
    const url = `${path}/${made.body.id}`
    expect((await owner.get(url)).body).toEqual(made.body)
    const changed = await owner.patch(url, { name: 'SBA tape', mapping: { fields } }, { 'if-match': '"1"' })
    expect(changed).toMatchObject({ status: 200, body: { name: 'SBA tape', mapping: { fields }, version: 2 } })
    expect((await owner.patch(url, { name: 'x' }, { 'if-match': '"1"' })).status).toBe(412)
    await save(owner, { name: 'Another' })
    const names = async (query: string) =>
      (await owner.get(`${path}?${query}`)).body.data.map(({ name }: { name: string }) => name)
    expect(await names('sort=name')).toEqual(['Another', 'SBA tape'])
    expect(await names('q=sba')).toEqual(['SBA tape'])
    expect(await names('target=houses')).toEqual([])
    const { text, headers } = await owner.get(`${path}?sort=name`, { accept: 'text/csv' })
    expect(headers['content-disposition']).toContain('import_mapping.csv')
    expect(text.split('\r\n')[0]).toBe('id,name,target,mapping,version,created_at,updated_at')
    expect((await owner.delete(url)).status).toBe(204)
    expect((await owner.get(url)).status).toBe(404)
  })

  test('has a name of its own in its organisation', async ({ api, owner }) => {
    await save(owner)
    const { status, body } = await owner.post(path, { name: 'Tape', mapping: { fields } })
    expect([status, body.code, body.errors[0].pointer]).toEqual([409, 'already_exists', '/body/name'])
    await save(await api.newOwner())
  })

  test('is checked as an import would check it, when it is made and when it is changed', async ({ owner }) => {
    const refusal = async (mapping: object, more: object = {}) => {
      const { status, body } = await owner.post(path, { name: 'x', mapping, ...more })
      return [status, body.code, body.errors[0].pointer]
    }
    expect(await refusal({ fields: { ...fields, colour: { column: 'a' } } })).toEqual([
      ...[400, 'invalid_mapping', '/body/mapping/fields/colour'],
    ])
    expect(await refusal({ fields: {} })).toEqual([400, 'validation_failed', '/body/mapping/fields'])
    expect(await refusal({ name: '\ud800', fields })).toEqual([400, 'invalid_mapping', '/body/mapping'])
    expect(await refusal({ fields }, { target: 'houses' })).toEqual([400, 'validation_failed', '/body/target'])
    const { id } = await save(owner)
    const { body } = await owner.patch(`${path}/${id}`, { mapping: { fields: { status: { column: 'a' } } } })
    expect(body.code).toBe('invalid_mapping')
  })

  test('is what an import names by its id; changed or deleted later, the import keeps what it used', async ({
    owner,
  }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const csv = tapeOf(1).replace('loan_number', 'No')
    const used = { rest: 'ignore', fields: { ...fields, loan_number: { column: 'No' } } }
    const saved = await save(owner, { mapping: used })
    const { status, body: made } = await importCsv(owner, portfolio, csv, { mapping: saved.id })
    expect([status, made.inserted, made.mapping_id]).toEqual([201, 1, saved.id])
    await owner.patch(`${path}/${saved.id}`, { mapping: { fields } })
    const kept = await owner.get(`/imports/${made.id}/mapping`)
    expect([kept.status, kept.body]).toEqual([200, used])
    expect((await importCsv(owner, portfolio, csv, { mapping: saved.id })).body.code).toBe('mapping_column_missing')
    await owner.delete(`${path}/${saved.id}`)
    expect((await owner.get(`/imports/${made.id}/mapping`)).body).toEqual(used)
    expect((await owner.get(`/imports/${made.id}`)).body.mapping_id).toBe(saved.id)
  })

  test('may change under an Idempotency-Key: a repeat asks for the same', async ({ owner }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const saved = await save(owner)
    const key = { 'idempotency-key': 'june' }
    const first = await importCsv(owner, portfolio, tapeOf(1), { mapping: saved.id }, key)
    await owner.patch(`${path}/${saved.id}`, { mapping: { rest: 'ignore', fields } })
    expect((await importCsv(owner, portfolio, tapeOf(1), { mapping: saved.id }, key)).body.id).toBe(first.body.id)
    expect((await importCsv(owner, portfolio, tapeOf(1), { mapping: { fields } }, key)).body.code).toBe(
      'idempotency_mismatch',
    )
  })

  test("of nobody or of another organisation is a 404 in an import's form as well", async ({ api, owner }) => {
    const { id: portfolio } = await newPortfolio(owner)
    const foreign = await save(await api.newOwner())
    for (const mapping of [foreign.id, '01a1fc48-63df-70bb-aa5f-4adae57bd6a5']) {
      const { status, body } = await importCsv(owner, portfolio, tapeOf(1), { mapping })
      expect([status, body.code, body.errors?.[0]]).toMatchObject([
        ...[404, 'not_found', { pointer: '/body/mapping', code: 'reference' }],
      ])
    }
    for (const answer of [
      await owner.get(`${path}/${foreign.id}`),
      await owner.patch(`${path}/${foreign.id}`, { name: 'x' }),
      await owner.delete(`${path}/${foreign.id}`),
    ])
      expect(answer.status).toBe(404)
  })

  test('is made and changed by who may write, and read by who may read', async ({ api, owner }) => {
    const saved = await save(owner)
    const member = await api.newUser(owner, 'member')
    expect((await member.get(`${path}/${saved.id}`)).status).toBe(200)
    expect((await member.post(path, { name: 'x', mapping: { fields } })).status).toBe(403)
    expect((await member.delete(`${path}/${saved.id}`)).status).toBe(403)
  })
})

describe('the template', () => {
  test('is the header of a file that needs no mapping', async ({ owner }) => {
    const { text, headers } = await owner.get(`${path}/template?target=loans`)
    expect(headers).toMatchObject({
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': 'attachment; filename="loans.csv"',
    })
    const names = text.trimEnd().split(',')
    expect(names).toEqual(expect.arrayContaining([...header.split(','), 'charged_off_amount', 'pd_12m']))
    expect(names).not.toContain('attributes')
    const { id } = await newPortfolio(owner)
    const values: Record<string, string> = Object.fromEntries(
      tapeOf(1)
        .split('\n')[1]
        ?.split(',')
        .map((cell, at) => [header.split(',')[at], cell]) ?? [],
    )
    const row = names.map((name) => values[name] ?? '').join(',')
    expect((await importCsv(owner, id, `${text}${row}\r\n`)).body).toMatchObject({ inserted: 1, rejected: 0 })
  })

  test('of an unknown target is refused by its name', async ({ owner }) => {
    const { status, body } = await owner.get(`${path}/template?target=houses`)
    expect([status, body.errors]).toMatchObject([400, [{ pointer: '/querystring/target', code: 'enum' }]])
  })
})
