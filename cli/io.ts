/**
 * What a verb may touch of the outside world: streams, time, interruption, and the modules that are heavy to load.
 *
 * Why: every verb can be run in process with another `Io`, which is how the tests and the tour of `zslab start` do it.
 * Guarantees: nothing else under cli/ writes to a stream of this process or reads a clock, and no heavy module is loaded
 * before a verb asks for it (`zslab --help` answers at once).
 */
import { buffer } from 'node:stream/consumers'
import type * as Client from '../daemon/client.js'
import type * as Store from '../store/index.js'
import type * as Vm from '../vm/index.js'

export type ClientModule = typeof Client
export type VmModule = typeof Vm
export type StoreModule = typeof Store

/** Where a verb writes, how it waits, and what it loads. */
export interface Io {
  out(text: string): void
  err(text: string): void
  /** Bytes for stdout, as they are. */
  outBytes(bytes: Uint8Array): void
  /** All of stdin. */
  input(): Promise<Uint8Array>
  /** Resolves when stdout has taken what was written: who writes without an end waits for it. */
  drained(): Promise<void>
  /** Whether somebody sits before it: stdout is a terminal. */
  readonly outIsTerminal: boolean
  /** Whether stderr is a terminal: where progress is drawn. */
  readonly errIsTerminal: boolean
  /** Columns of the terminal; absent where there is none. */
  readonly columns?: number | undefined
  /** Whether colours are wanted where there is a terminal (https://no-color.org). */
  readonly hasColour: boolean
  /** Lines of the terminal; absent or infinite where there is none. */
  readonly rows?: number
  /** Whether somebody can type: stdin and stdout are terminals. */
  readonly interactive: boolean
  /** Milliseconds of a clock that never goes back. */
  nowMs(): number
  /** Resolves true after `ms`, or false as soon as the user wants an end (SIGINT, SIGTERM, SIGHUP). */
  wait(ms: number): Promise<boolean>
  /** From now on signals do not end the process, until `done` or `cancel`. */
  interruption(): Interruption
  client(): Promise<ClientModule>
  vm(): Promise<VmModule>
  store(): Promise<StoreModule>
}

const END_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** A wish for an end that may come. `done` resolves true when a signal asked for it, false when cancelled. */
export interface Interruption {
  readonly done: Promise<boolean>
  cancel(): void
}

/** Leaves no handler and no timer behind. */
function interruption(): Interruption {
  let settle: (signalled: boolean) => void = () => {}
  const done = new Promise<boolean>(resolve => {
    settle = resolve
  })
  // Signal handlers alone do not keep the process alive.
  const alive = setInterval(() => {}, 60_000)
  const onSignal = (): void => finish(true)
  const finish = (signalled: boolean): void => {
    clearInterval(alive)
    for (const signal of END_SIGNALS) process.off(signal, onSignal)
    settle(signalled)
  }
  for (const signal of END_SIGNALS) process.on(signal, onSignal)
  return { done, cancel: () => finish(false) }
}

async function wait(ms: number): Promise<boolean> {
  const signal = interruption()
  const timer = setTimeout(signal.cancel, ms)
  const signalled = await signal.done
  clearTimeout(timer)
  return !signalled
}

/** The real world. */
export function processIo(): Io {
  return {
    out: text => void process.stdout.write(text),
    err: text => void process.stderr.write(text),
    outBytes: bytes => void process.stdout.write(bytes),
    input: () => buffer(process.stdin),
    drained: () =>
      process.stdout.writableNeedDrain
        ? new Promise(resolve => process.stdout.once('drain', resolve))
        : Promise.resolve(),
    outIsTerminal: process.stdout.isTTY === true,
    errIsTerminal: process.stderr.isTTY === true,
    hasColour: process.stdout.isTTY === true && !process.env['NO_COLOR'],
    get columns() {
      return process.stdout.columns ?? process.stderr.columns
    },
    get rows() {
      return process.stdout.rows ?? Number.POSITIVE_INFINITY
    },
    interactive: process.stdin.isTTY === true && process.stdout.isTTY === true,
    nowMs: () => performance.now(),
    wait,
    interruption,
    client: () => import('../daemon/client.js'),
    vm: () => import('../vm/index.js'),
    store: () => import('../store/index.js'),
  }
}
