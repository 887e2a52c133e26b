import { type Static, Type } from '@sinclair/typebox'
import { pageOf, pageQuery } from '../../../lib/page.ts'
import { Nullable, named, ref, Strict, Text, Timestamp, Uuid } from '../../../lib/schema.ts'
import { Probability } from '../loans/schemas.ts'

const gradesMax = 60

export const RatingGrade = named(
  'RatingGrade',
  Strict({
    grade: Text(20, { description: 'unique in its scale' }),
    ordinal: Type.Integer({ minimum: 0, maximum: 10_000, description: 'ascends with risk' }),
    pd: Nullable(Probability({ description: 'probability of default within a year, share of one' })),
    is_default: Type.Boolean({ description: 'whether a loan of this grade is in default' }),
  }),
)

const exampleGrades = [
  { grade: 'A', ordinal: 1, pd: '0.0010', is_default: false },
  { grade: 'BBB', ordinal: 2, pd: '0.0050', is_default: false },
  { grade: 'BB', ordinal: 3, pd: '0.0200', is_default: false },
  { grade: 'D', ordinal: 4, pd: '1', is_default: true },
]

const Name = () => Text(100, { description: 'unique in the organisation', examples: ['Master scale'] })
const Grades = () =>
  Type.Array(ref(RatingGrade), {
    minItems: 1,
    maxItems: gradesMax,
    description: 'from the least to the most risky; PDs never fall, and only the last can mean default',
    examples: [exampleGrades],
  })
const optional = {
  agency: Type.Optional(Nullable(Text(100, { description: 'whose scale it is; null for an internal one' }))),
  description: Type.Optional(Nullable(Text(2_000))),
}

export const RatingScaleCreate = named('RatingScaleCreate', Strict({ name: Name(), grades: Grades(), ...optional }))
export type RatingScaleCreate = Static<typeof RatingScaleCreate>

export const RatingScaleUpdate = named(
  'RatingScaleUpdate',
  Strict({ name: Type.Optional(Name()), grades: Type.Optional(Grades()), ...optional }),
)
export type RatingScaleUpdate = Static<typeof RatingScaleUpdate>

export const RatingScale = named(
  'RatingScale',
  Type.Object({
    id: Uuid(),
    name: Type.String(),
    agency: Nullable(Type.String()),
    description: Nullable(Type.String()),
    grades: Type.Array(ref(RatingGrade)),
    version: Type.Integer(),
    created_at: Timestamp(),
    updated_at: Timestamp(),
  }),
)

export const RatingScalePage = pageOf('RatingScalePage', ref(RatingScale))

export const RatingScaleQuery = pageQuery(['created_at', 'name'], {
  agency: Type.Optional(Text(100)),
  q: Type.Optional(Text(100, { description: 'part of the name' })),
})
export type RatingScaleQuery = Static<typeof RatingScaleQuery>
