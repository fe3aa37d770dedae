/**
 * Arguments that several verbs share: the device, whole numbers, and the options that every verb has.
 *
 * Every parser throws UsageError that names the argument, the value and what is allowed.
 */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { UsageError } from './output.js'

/** Options that every verb has. */
export interface CommonOptions {
  json?: boolean
  socket?: string
}

/** The largest number that a ublk device can have: minors are 20 bits. */
const DEVICE_ID_MAX = 2 ** 20 - 1

/** "0", "ublkb0" or "/dev/ublkb0" → 0. */
export function parseDevice(text: string): number {
  const match = /^(?:(?:\/dev\/)?ublk[bc])?(\d+)$/.exec(text)
  const id = match === null ? Number.NaN : Number(match[1])
  if (!(id <= DEVICE_ID_MAX)) {
    throw new UsageError(`DEV ${text}: expected a number as 0, or a device as /dev/ublkb0`)
  }
  return id
}

/** A whole number from min to max, both included. */
export function parseInteger(name: string, text: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= min && value <= max)) {
    throw new UsageError(`${name} ${text}: expected a whole number from ${min} to ${max}`)
  }
  return value
}

/** One of a list of words. */
export function parseChoice<T extends string>(
  name: string,
  text: string,
  choices: readonly T[],
): T {
  const found = choices.find(choice => choice === text)
  if (found === undefined) {
    throw new UsageError(`${name} ${text}: expected one of ${choices.join(', ')}`)
  }
  return found
}

/** Add --json, and the examples under the help: for verbs that ask no daemon. */
export function finishLocalVerb(command: Command, examples: readonly string[]): Command {
  command.option('--json', 'print one JSON value on stdout and nothing else')
  const lines = examples.map(example => `  $ ${example}`).join('\n')
  return command.addHelpText('after', `\nExamples:\n${lines}`)
}

/** Add --json and --socket, and the examples under the help. */
export function finishVerb(command: Command, examples: readonly string[]): Command {
  finishLocalVerb(command, examples)
  command.option(
    '--socket <path>',
    'control socket of the daemon (default: $ZSLAB_SOCKET or its own)',
  )
  // Every module of the daemon reads the path from the environment: one place to set it.
  command.hook('preAction', () => {
    const { socket } = command.opts<CommonOptions>()
    // Absolute: the daemon runs in another folder, and would make its socket there.
    if (socket !== undefined) process.env['ZSLAB_SOCKET'] = resolve(socket)
  })
  return command
}
