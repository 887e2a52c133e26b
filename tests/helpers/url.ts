/** The same URL with some of its parts replaced. */
export function withUrl(
  url: string,
  parts: Partial<Pick<URL, 'hostname' | 'port' | 'pathname' | 'username' | 'password'>>,
): string {
  return Object.assign(new URL(url), parts).href
}
