/**
 * How a verb ends: results on stdout, errors on stderr, and the exit code.
 *
 * Guarantees: with --json, stdout gets exactly one JSON value (a line each time for `--watch`) and stderr one line
 * `{"error":{"code","message"}}`; without it, errors read `zslab: message` and a next step. Exit codes: 0 done, 1 failed,
 * 2 misused. An error without a code of ours is a bug: its stack is shown.
 */
import type { Io } from './io.js'

export const EXIT_DONE = 0
export const EXIT_FAILED = 1
export const EXIT_MISUSED = 2

/** The command line was wrong. The message names the argument, its value and what is allowed. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly code = 'CLI_ERR_USAGE'
}

/** What was asked cannot be done; `code` is one of {@link CLI_ERRORS}, or that of the error which is told in other words. */
export class FailedError extends Error {
  override readonly name = 'FailedError'
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

/** The verb did its work, and the answer is "no": a code other than 0 without an error. */
export class ExitCode extends Error {
  override readonly name = 'ExitCode'
  constructor(readonly exitCode: number) {
    super(`exit with ${exitCode}`)
  }
}

/** Codes of the command line itself; the daemon's are in daemon/errors.ts. */
export const CLI_ERRORS = {
  CLI_ERR_USAGE: 'the command line is wrong; the message names the argument and what is allowed',
  CLI_ERR_TRACE:
    'a trace cannot be read, or does not fit the device; the message names the line, or what differs',
  CLI_ERR_NO_KEY: 'the store has no object with this key (any more)',
  CLI_ERR_NOT_EMPTY: 'the store has objects, and what was asked needs an empty one',
  CLI_ERR_BUG: 'a defect of zslab; please report it with the stack that was printed',
} as const

/** What to type next, where the message alone does not say it. */
const NEXT_STEPS: Readonly<Record<string, string>> = {
  DAEMON_ERR_NOT_RUNNING: 'zslab device create',
  DAEMON_ERR_PERMISSION: 'sudo zslab …, or zslab vm for a machine where you are root',
  DAEMON_ERR_NO_UBLK: 'zslab doctor',
  DAEMON_ERR_KERNEL: 'zslab doctor, or zslab vm for a kernel that works',
  DAEMON_ERR_NO_DEVICE: 'zslab device list',
  DAEMON_ERR_DEVICE_EXISTS: 'zslab device list, then another --id',
  DAEMON_ERR_BUSY: 'umount what is on it, or add --force',
  DAEMON_ERR_NOT_ORPHAN: 'zslab device list',
  DAEMON_ERR_NOT_RECOVERABLE: 'zslab device delete DEV',
  DAEMON_ERR_ZONE: 'zslab explain DEV',
  ERR_VM_REQUIREMENTS: 'zslab doctor',
}

/** One value for a program: a line of JSON. */
export function printJson(io: Io, value: unknown): void {
  io.out(`${JSON.stringify(value)}\n`)
}

/** A result: JSON or text, never both. `text` is only made when it is wanted. */
export function printResult(io: Io, json: boolean, value: unknown, text: () => string): void {
  if (json) printJson(io, value)
  else io.out(text())
}

interface CodedError extends Error {
  code: string
}

function isOperationError(error: unknown): error is CodedError {
  if (!(error instanceof Error) || !('code' in error)) return false
  return typeof error.code === 'string' && /^(?:[A-Z]+_ERR_|ERR_VM_)/.test(error.code)
}

/** Of the store: what was typed cannot be. */
const MISUSES: readonly string[] = [
  ...['STORE_ERR_KEY', 'STORE_ERR_VALUE', 'STORE_ERR_TTL', 'STORE_ERR_OPTION'],
  'DEVICE_ERR_OPTION',
]

function isMisuse(code: string): boolean {
  return (
    code === 'CLI_ERR_USAGE' ||
    MISUSES.includes(code) ||
    code === 'DAEMON_ERR_OPTION' ||
    code === 'ERR_VM_KERNEL' ||
    code.startsWith('ZONE_ERR_GEOMETRY')
  )
}

/** Tell an error and say which exit code it means. */
export function reportError(io: Io, json: boolean, error: unknown, helpCommand: string): number {
  if (error instanceof ExitCode) return error.exitCode
  if (!isOperationError(error)) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
    if (json) io.err(`${JSON.stringify({ error: { code: 'CLI_ERR_BUG', message: stack } })}\n`)
    else io.err(`zslab: this is a defect of zslab, please report it:\n${stack}\n`)
    return EXIT_FAILED
  }
  const { code, message } = error
  const misuse = isMisuse(code)
  if (json) {
    io.err(`${JSON.stringify({ error: { code, message } })}\n`)
  } else {
    const next = misuse ? helpCommand : NEXT_STEPS[code]
    io.err(`zslab: ${message}\n`)
    // A message that already names the command needs no second line.
    if (next !== undefined && !message.includes(next.replace(/ DEV$/, ''))) {
      io.err(`  next: ${next}\n`)
    }
  }
  return misuse ? EXIT_MISUSED : EXIT_FAILED
}
