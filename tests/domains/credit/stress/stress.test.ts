import { describe, expect } from 'vitest'
import type { Person } from '../../../helpers/api.ts'
import { report } from '../../../helpers/book.ts'
import { newLoan, newPortfolio } from '../../../helpers/credit.ts'
import { test as base, eventsOf } from '../../../helpers/sql.ts'

const loans = [
  {
    balance: '1000',
    commitment: '1500',
    ccf: '0.5',
    pd_12m: '0.02',
    pd_lifetime: '0.1',
    lgd: '0.4',
    stage: 1,
    rate_type: 'floating',
    interest_rate: '0.05',
  },
  {
    balance: '2000',
    pd_12m: '0.6',
    pd_lifetime: '0.8',
    lgd: '0.9',
    stage: 3,
    rate_type: 'fixed',
    interest_rate: '0.1',
    sector: '11',
  },
  // A credit balance, and no stage (so 1), CCF, rate nor PD of 12 months.
  { balance: '-50', commitment: '100', pd_lifetime: '0.2', lgd: '0.5', rate_type: 'floating' },
  // Without a PD: exposure, but no known loss.
  { balance: '500', lgd: '0.3', rate_type: 'mixed', interest_rate: '0.04' },
  // In default, so in stage 3, where an unknown lifetime PD is 1.
  { balance: '100', lgd: '0.5', status: 'default' },
  // Closed: nothing more can be drawn.
  { commitment: '1000', status: 'paid' },
]

const baseline = {
  // 1,000 + 0.5 x 500; 2,000; 0 + 1 x 100; 500; 100; 0
  ead: '3950.0000',
  // 0.02 x 0.4 x 1,250 + 0.6 x 0.9 x 2,000
  el_12m: '1090.0000',
  // 0.1 x 0.4 x 1,250 + 0.8 x 0.9 x 2,000 + 0.2 x 0.5 x 100 + 1 x 0.5 x 100
  el_lifetime: '1550.0000',
  // 10 (stage 1) + 1,440 + 50 (stage 3)
  expected_loss: '1500.0000',
  // (0.02 x 1,000 + 0.6 x 2,000) / 3,000
  weighted_average_pd_12m: '0.406667',
  // (100 + 1,600 - 10) / 2,950
  weighted_average_pd_lifetime: '0.572881',
  // (400 + 1,800 - 25 + 150 + 50) / 3,550
  weighted_average_lgd: '0.669014',
  // 50 + 200 + 0 + 20
  interest_income: '270.0000',
}

const shocks = { pd_multiplier: '2', lgd_shift: '0.2', rate_shift: '0.01' }

const stressed = {
  ead: '3950.0000',
  // 0.04 x 0.6 x 1,250 + 1 x 1 x 2,000: both are cut to 1
  el_12m: '2030.0000',
  // 0.2 x 0.6 x 1,250 + 2,000 + 0.4 x 0.7 x 100 + 1 x 0.7 x 100
  el_lifetime: '2248.0000',
  expected_loss: '2100.0000',
  // (40 + 2,000) / 3,000
  weighted_average_pd_12m: '0.680000',
  // (200 + 2,000 - 20) / 2,950
  weighted_average_pd_lifetime: '0.738983',
  // (600 + 2,000 - 35 + 250 + 70) / 3,550
  weighted_average_lgd: '0.812676',
  // + 1,000 x 0.01 - 50 x 0.01, of the floating loans only
  interest_income: '279.5000',
}

const change = {
  ead: '0.0000',
  el_12m: '940.0000',
  el_lifetime: '698.0000',
  expected_loss: '600.0000',
  weighted_average_pd_12m: '0.273333',
  weighted_average_pd_lifetime: '0.166102',
  weighted_average_lgd: '0.143662',
  interest_income: '9.5000',
}

async function smallBook(owner: Person, more: object = {}): Promise<string> {
  const { id } = await newPortfolio(owner, more)
  for (const loan of loans) await newLoan(owner, id, { ...loan, ...more })
  return id
}

const test = base.extend<{ shared: { owner: Person; id: string } }>({
  shared: [
    async ({ api }, use) => {
      const owner = await api.newOwner()
      await use({ owner, id: await smallBook(owner) })
    },
    { scope: 'file' },
  ],
})

describe('a stress test', () => {
  test('is what a hand computes, and is kept as it was', async ({ shared: { owner, id }, sql }) => {
    const { status, headers, body } = await owner.post(`/portfolios/${id}/stress`, { name: 'By hand', shocks })
    expect(status, JSON.stringify(body)).toBe(201)
    expect(headers.location).toBe(`/api/v1/stress-runs/${body.id}`)
    expect(body).toEqual({
      id: body.id,
      portfolio_id: id,
      scenario_id: null,
      name: 'By hand',
      shocks: { pd_shift: '0', lgd_multiplier: '1', ...shocks },
      as_of: null,
      known_at: null,
      filter: {},
      formula_version: 1,
      loan_count: 6,
      computed_at: body.created_at,
      result: {
        currency: 'USD',
        baseline,
        stressed,
        change,
        without_parameters: 3,
        floating_count: 2,
        capped_count: 1,
      },
      created_by: owner.id,
      version: 1,
      created_at: expect.stringMatching(/Z$/),
    })
    const { ead, expected_loss, el_12m, el_lifetime } = (await owner.get(`/portfolios/${id}/metrics`)).body
    expect({ ead, expected_loss, el_12m, el_lifetime }, 'the baseline is what the metrics say').toEqual({
      ...{ ead: baseline.ead, expected_loss: baseline.expected_loss },
      ...{ el_12m: baseline.el_12m, el_lifetime: baseline.el_lifetime },
    })
    await newLoan(owner, id, { balance: '1000000', sector: '99' })
    expect((await owner.get(`/stress-runs/${body.id}`)).body).toEqual(body)
    expect(await eventsOf(sql, body.id)).toMatchObject([{ action: 'stress_run.created', actor_id: owner.id }])
    expect((await owner.patch(`/stress-runs/${body.id}`, { name: 'Other' })).status).toBe(404)
    expect((await owner.delete(`/stress-runs/${body.id}`, { 'if-match': '"2"' })).status).toBe(412)
    expect((await owner.delete(`/stress-runs/${body.id}`)).status).toBe(204)
    expect((await owner.get(`/stress-runs/${body.id}`)).status).toBe(404)
  })

  test('applies a scenario, and what is asked for in place of some of it', async ({ shared: { owner, id } }) => {
    const scenario = (await owner.post('/stress-scenarios', { name: 'Doubled', shocks: { pd_multiplier: '2' } })).body
    const run = async (body: object) => {
      const answer = await owner.post(`/portfolios/${id}/stress`, { scenario_id: scenario.id, ...body })
      expect(answer.status, answer.text).toBe(201)
      return answer.body
    }
    const filter = { sector: '11' }
    const plain = await run({ filter })
    expect(plain).toMatchObject({ name: 'Doubled', scenario_id: scenario.id, filter, loan_count: 1 })
    // 1 (cut from 1.2) x 0.9 x 2,000
    expect(plain.result.stressed.el_12m).toBe('1800.0000')
    const milder = await run({ name: 'Milder', filter, shocks: { pd_multiplier: '1', pd_shift: '-0.7' } })
    expect(milder).toMatchObject({ name: 'Milder', shocks: { pd_multiplier: '1', pd_shift: '-0.7' } })
    // 0.6 - 0.7 is cut to 0; 0.8 - 0.7 is 0.1 of 1,800
    expect(milder.result).toMatchObject({
      stressed: { el_12m: '0.0000', expected_loss: '180.0000' },
      capped_count: 1,
    })
    // What the scenario becomes changes no run.
    await owner.patch(`/stress-scenarios/${scenario.id}`, { shocks: { lgd_multiplier: '0.5' } })
    expect((await run({ filter })).shocks).toMatchObject({ pd_multiplier: '2', lgd_multiplier: '0.5', pd_shift: '0' })
    const once = () =>
      owner.post(`/portfolios/${id}/stress`, { scenario_id: scenario.id }, { 'idempotency-key': 'doubled' })
    const first = (await once()).body
    expect((await owner.delete(`/stress-scenarios/${scenario.id}`)).status).toBe(204)
    expect((await owner.get(`/stress-runs/${plain.id}`)).body).toEqual(plain)
    expect(await once()).toMatchObject({ status: 201, body: first })
  })

  test('of a past date, of nothing, and of neutral shocks', async ({ shared: { owner }, sql }) => {
    const { id } = await newPortfolio(owner)
    const run = async (body: object) => (await owner.post(`/portfolios/${id}/stress`, { name: 'Past', ...body })).body
    const neutral = { rate_shift: '0' }
    const none = { weighted_average_lgd: null, el_12m: null, ead: '0.0000', interest_income: '0.0000' }
    expect(await run({ shocks: neutral })).toMatchObject({ loan_count: 0, result: { baseline: none, change: none } })
    await report(sql, owner, id, [{ as_of: '2024-12-31', balance: '100', pd_12m: '0.1', lgd: '1.5' }])
    const past = await run({ shocks: neutral, as_of: '2024-12-31' })
    expect(past).toMatchObject({
      as_of: '2024-12-31',
      loan_count: 1,
      result: { baseline: { el_12m: '15.0000' }, stressed: { el_12m: '15.0000' }, capped_count: 0 },
    })
    // An LGD above 1 is data: shocks take it no further, and the PD of 0.2 doubles the loss; but they can bring it down.
    const adverse = await run({ shocks: { pd_multiplier: '2', lgd_shift: '0.1' }, as_of: '2024-12-31' })
    expect(adverse.result).toMatchObject({
      stressed: { el_12m: '30.0000' },
      change: { el_12m: '15.0000' },
      capped_count: 1,
    })
    const mild = await run({ shocks: { lgd_multiplier: '0.8' }, as_of: '2024-12-31' })
    expect(mild.result).toMatchObject({ stressed: { el_12m: '12.0000' }, capped_count: 0 })
    expect(await run({ shocks: neutral, as_of: '2024-11-30' })).toMatchObject({
      status: 422,
      code: 'as_of_without_snapshots',
    })
    expect(await run({ shocks: neutral, known_at: '2000-01-01T00:00:00Z' })).toMatchObject({ loan_count: 0 })
  })

  test('needs shocks within bounds, a name, and what is of this organisation', async ({ api, shared }) => {
    const { owner, id } = shared
    const code = async (body: object, client = owner) => {
      const answer = await client.post(`/portfolios/${id}/stress`, body)
      return [answer.status, answer.body.errors?.[0]?.pointer ?? answer.body.code]
    }
    expect(await code({})).toEqual([400, '/body/name'])
    expect(await code({ name: 'x' })).toEqual([400, '/body/shocks'])
    expect(await code({ shocks })).toEqual([400, '/body/name'])
    expect(await code({ name: 'x', shocks: {} })).toEqual([400, '/body/shocks'])
    for (const [shock, value] of [
      ['pd_multiplier', '-1'],
      ['pd_multiplier', '1000'],
      ['pd_shift', '1.1'],
      ['lgd_shift', '-2'],
      ['rate_shift', '1e-2'],
      ['rate_shift', 0.1],
    ])
      expect(await code({ name: 'x', shocks: { [shock as string]: value } })).toEqual([400, `/body/shocks/${shock}`])
    expect(await code({ name: 'x', shocks, filter: { portfolio_id: id } })).toEqual([400, '/body/filter/portfolio_id'])
    const stranger = await api.newOwner()
    const foreign = (await stranger.post('/stress-scenarios', { name: 'Foreign', shocks })).body
    expect(await code({ scenario_id: foreign.id })).toEqual([404, '/body/scenario_id'])
    expect(await code({ name: 'x', shocks }, stranger)).toEqual([404, 'not_found'])
  })
})

describe('stress tests', () => {
  test('are listed by portfolio and scenario, also as CSV', async ({ api, shared: { id, owner } }) => {
    const other = await smallBook(owner)
    const scenario = (await owner.post('/stress-scenarios', { name: 'Listed', shocks })).body
    for (const portfolio of [id, other])
      await owner.post(`/portfolios/${portfolio}/stress`, { scenario_id: scenario.id })
    const count = async (query: string) => (await owner.get(`/stress-runs?${query}`)).body.data.length
    expect(await count(`scenario_id=${scenario.id}`)).toBe(2)
    expect(await count(`scenario_id=${scenario.id}&portfolio_id=${other}&q=list&sort=name`)).toBe(1)
    expect(await count(`portfolio_id=${other}&as_of=2024-01-01`)).toBe(0)
    const csv = await owner.get(`/stress-runs?portfolio_id=${other}`, { accept: 'text/csv' })
    expect(csv.text.split('\r\n')[0]).toContain('id,portfolio_id,scenario_id,name,shocks,as_of')
    expect((await (await api.newOwner()).get('/stress-runs')).body.data).toEqual([])
  })

  test('stand side by side: each against its baseline and against the first', async ({ api, shared: { owner } }) => {
    const id = await smallBook(owner)
    const run = async (portfolio: string, body: object) =>
      (await owner.post(`/portfolios/${portfolio}/stress`, { name: 'Compared', ...body })).body
    const hard = await run(id, { shocks })
    const mild = await run(id, { shocks: { rate_shift: '0.01' } })
    const euro = await run(await smallBook(owner, { currency: 'EUR' }), { shocks })
    const compare = async (query: string) => (await owner.get(`/stress-runs/compare?${query}`)).body
    const { runs } = await compare(`ids=${hard.id},${mild.id},${euro.id},${hard.id}`)
    expect(runs.map(({ run }: { run: { id: string } }) => run)).toEqual([hard, mild, euro])
    expect(runs[0].from_first).toMatchObject({ el_12m: '0.0000', weighted_average_lgd: '0.000000' })
    // 1,090 - 2,030 and 0.669014 - 0.812676
    expect(runs[1].from_first).toMatchObject({
      el_12m: '-940.0000',
      weighted_average_lgd: '-0.143662',
      interest_income: '0.0000',
    })
    expect(runs[2].from_first).toBeNull()
    const newest = await compare(`portfolio_id=${id}`)
    expect(newest.runs.map(({ run }: { run: { id: string } }) => run.id)).toEqual([mild.id, hard.id])
    expect(await compare(`portfolio_id=${id}&ids=${euro.id}`)).toMatchObject({ status: 404, code: 'not_found' })
    expect(await compare('ids=1')).toMatchObject({ status: 400, code: 'validation_failed' })
    const stranger = await api.newOwner()
    expect((await stranger.get(`/stress-runs/compare?ids=${hard.id}`)).status).toBe(404)
    expect((await stranger.get('/stress-runs/compare')).body).toEqual({ runs: [] })
  })
})

describe('a stress scenario', () => {
  test('is made, read, changed and deleted, with a name of its own', async ({ api, owner, sql }) => {
    const made = await owner.post('/stress-scenarios', { name: 'Recession', description: 'GDP -5%', shocks })
    expect([made.status, made.headers.etag]).toEqual([201, '"1"'])
    const path = `/stress-scenarios/${made.body.id}`
    expect(made.headers.location).toBe(`/api/v1${path}`)
    expect((await owner.get(path)).body).toEqual(made.body)
    expect(made.body.shocks).toEqual({ pd_shift: '0', lgd_multiplier: '1', ...shocks })
    const twin = await owner.post('/stress-scenarios', { name: 'Recession', shocks })
    expect(twin.body).toMatchObject({ status: 409, code: 'already_exists', errors: [{ pointer: '/body/name' }] })
    expect((await owner.patch(path, { name: 'Slump' }, { 'if-match': '"2"' })).status).toBe(412)
    const changed = await owner.patch(path, { name: 'Slump', shocks: { pd_shift: '0.01' } })
    expect(changed.body).toMatchObject({ name: 'Slump', version: 2, shocks: { ...shocks, pd_shift: '0.01' } })
    expect((await eventsOf(sql, made.body.id)).map(({ action }) => action)).toEqual([
      'stress_scenario.created',
      'stress_scenario.updated',
    ])
    const names = async (query: string) =>
      (await owner.get(`/stress-scenarios?${query}`)).body.data.map(({ name }: { name: string }) => name)
    expect(await names('q=gdp')).toEqual(['Slump'])
    expect(await names('name=Recession')).toEqual([])
    const stranger = await api.newOwner()
    for (const answer of [
      await stranger.get(path),
      await stranger.patch(path, { name: 'Mine' }),
      await stranger.delete(path),
    ])
      expect(answer.body).toMatchObject({ status: 404, code: 'not_found' })
    expect((await owner.delete(path)).status).toBe(204)
    expect((await owner.get(path)).status).toBe(404)
  })
})
