import { parse } from 'node:querystring'

/** A form as the JSON body that it stands for. A repeated field is an array, which no field of the model is. */
export function parseForm(text: string): Record<string, unknown> {
  const { remember_me, ...fields } = parse(text, '&', '=', { maxKeys: 50 })
  const words: Record<string, unknown> = { true: true, false: false }
  return remember_me === undefined ? fields : { ...fields, remember_me: words[String(remember_me)] ?? remember_me }
}
