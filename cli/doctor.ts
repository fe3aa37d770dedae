/**
 * `zslab doctor`: what this machine can do, what is missing, and the command that mends it.
 *
 * Works on every platform, without root and without a daemon. Exit 0 when a device can be made here, 1 otherwise.
 */
import type { Command } from 'commander'
import { type CommonOptions, finishVerb } from './arguments.js'
import { type Check, canMakeDevice, runChecks } from './checks.js'
import type { Io } from './io.js'
import { type Machine, thisMachine } from './machine.js'
import { EXIT_FAILED, ExitCode, printResult } from './output.js'

function mark(check: Check): string {
  if (check.ok) return 'ok'
  return check.required ? 'MISSING' : 'missing'
}

function verdict(checks: readonly Check[]): string {
  if (canMakeDevice(checks)) return 'A device can be made here: zslab device create\n'
  const vm = checks.find(({ name }) => name === 'VM')
  const instead =
    vm?.ok === true
      ? 'It can in a throwaway VM: zslab vm, or npm start\n'
      : 'The VM cannot run here yet either.\n'
  return `No device can be made here: mend what is MISSING, from the top. ${instead}`
}

/** Checks as people read them: what is there, and under what is not, the command that mends it. */
export function formatChecks(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ name }) => name.length))
  const lines = checks.flatMap(check => {
    const line = `${mark(check).padEnd(7)}  ${check.name.padEnd(width)}  ${check.detail}`
    return check.mend === undefined ? [line] : [line, `${' '.repeat(width + 11)}-> ${check.mend}`]
  })
  return `${lines.join('\n')}\n\n${verdict(checks)}`
}

/** The verb on a given machine. */
export async function doctor(io: Io, machine: Machine, options: CommonOptions): Promise<void> {
  const checks = await runChecks(machine)
  const isAble = canMakeDevice(checks)
  const value = { canMakeDevice: isAble, checks }
  printResult(io, options.json === true, value, () => formatChecks(checks))
  if (!isAble) throw new ExitCode(EXIT_FAILED)
}

export function registerDoctor(command: Command, io: Io): void {
  command.action(options => doctor(io, thisMachine(io), options))
  finishVerb(command, [
    'zslab doctor',
    "zslab doctor --json | jq -r '.checks[] | select(.ok | not) | .mend'",
  ])
}
