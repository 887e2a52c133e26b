/** One line of the doctor's report; the message of a warning or a failure says what to do. */
export type Finding = { check: string; status: 'ok' | 'warn' | 'fail'; message: string }

const finding =
  (status: Finding['status']) =>
  (check: string, message: string): Finding => ({ check, status, message })

export const ok = finding('ok')
export const warn = finding('warn')
export const fail = finding('fail')
