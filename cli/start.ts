/**
 * `zslab start`, which is `npm start`: a device with sensible defaults, served until Ctrl-C, and nothing left behind.
 *
 *   ublk usable here?  yes ──┬─ terminal ──► serve until Ctrl-C        no ──┬─ terminal ──► shell in a VM, device ready
 *                            └─ none ─────► tour                           └─ none ─────► tour in a VM
 *
 * Guarantees: what it made it deletes, whichever way it ends; a daemon that it started it ends; the exit code says whether
 * all went well.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import type { Command } from 'commander'
import type { DeviceInfo } from '../daemon/client.js'
import { type CommonOptions, finishVerb } from './arguments.js'
import { isDaemonRunning } from './ask.js'
import { type Check, canMakeDevice, runChecks } from './checks.js'
import { formatDevice } from './device.js'
import type { Io } from './io.js'
import { type Machine, thisMachine } from './machine.js'
import { EXIT_DONE, EXIT_FAILED, ExitCode, printJson, UsageError } from './output.js'
import type { Run } from './program.js'
import { runProgram, runTour } from './tour.js'
import { packageRoot } from './version.js'
import { collector } from './vm.js'

export interface StartOptions extends CommonOptions {
  tour?: boolean
  shell?: boolean
}

/** The built command line, for a guest and for people who have no `zslab` in their PATH. */
function scriptPath(): string {
  return join(packageRoot(), 'dist', 'cli', 'index.js')
}

/** How to call us: by name where that is how we were called, else by the path from here. */
function commandName(): string {
  if (process.env['ZSLAB_COMMAND'] !== undefined) return process.env['ZSLAB_COMMAND']
  if (process.argv[1]?.endsWith('/zslab') === true) return 'zslab'
  return `node ${relative(process.cwd(), scriptPath())}`
}

/** Where the device is, and three things to try: commands that work as they stand. */
export function formatWelcome(device: DeviceInfo, command: string): string {
  const { path, id } = device
  return `${formatDevice(device)}
Three things to try${command === 'zslab' ? '' : ', in another terminal'}:
  ${command} zone report ${id}
  fio --filename=${path} fio-jobs/seq-write-verify.fio
  ${command} stats ${id} --watch
`
}

/** A device for as long as `during` takes. The daemon, too, ends if it was started for this. */
async function withDevice(io: Io, during: (device: DeviceInfo) => Promise<void>): Promise<void> {
  const client = await io.client()
  const wasRunning = await isDaemonRunning(client)
  await client.ensureDaemon()
  try {
    const device = await client.request('device.create', {})
    try {
      await during(device)
    } finally {
      // Somebody may have deleted it meanwhile, which is as good; or may hold it, which Ctrl-C overrules.
      await client
        .request('device.delete', { id: device.id, force: true })
        .catch((error: unknown) => {
          const isGone =
            error instanceof client.DaemonError && error.code === 'DAEMON_ERR_NO_DEVICE'
          if (!isGone) throw error
        })
    }
  } finally {
    if (!wasRunning && (await isDaemonRunning(client))) await client.request('shutdown', {})
  }
}

async function serve(io: Io, options: StartOptions): Promise<void> {
  // From before the device is there: a Ctrl-C while it is made must not leave it behind.
  const interruption = io.interruption()
  try {
    await serveUntil(io, options, interruption.done)
  } finally {
    interruption.cancel()
  }
}

async function serveUntil(io: Io, options: StartOptions, end: Promise<unknown>): Promise<void> {
  await withDevice(io, async device => {
    if (options.json === true) printJson(io, device)
    else
      io.out(
        `${formatWelcome(device, commandName())}\nCtrl-C deletes the device and all that is on it.\n`,
      )
    await end
  })
  if (options.json !== true) io.out('\ndevice deleted, nothing left behind\n')
}

/** The user's shell; a guest is told of it. Without one, bash where there is one: plain sh has no line editing. */
function shellProgram(): string {
  const own = process.env['SHELL']
  if (own !== undefined && own !== '' && existsSync(own)) return own
  return existsSync('/bin/bash') ? '/bin/bash' : '/bin/sh'
}

/** A shell with `zslab` in its PATH. Its exit code does not matter: it is that of the last thing somebody typed. */
function runShell(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'zslab-bin-'))
  const shim = `#!/bin/sh\nexec '${process.execPath}' '${scriptPath()}' "$@"\n`
  writeFileSync(join(folder, 'zslab'), shim, { mode: 0o755 })
  const env = { ...process.env, PATH: `${folder}:${process.env['PATH'] ?? ''}` }
  return new Promise((resolve, reject) => {
    const child = spawn(shellProgram(), [], { stdio: 'inherit', env })
    // Ctrl-C is for what runs in the shell.
    const ignore = (): void => {}
    process.on('SIGINT', ignore)
    const end = (): void => {
      process.off('SIGINT', ignore)
      rmSync(folder, { recursive: true, force: true })
    }
    child.once('error', error => {
      end()
      reject(error)
    })
    child.once('close', () => {
      end()
      resolve()
    })
  })
}

async function shell(io: Io): Promise<void> {
  await withDevice(io, async device => {
    io.out(`${formatWelcome(device, 'zslab')}\n\`exit\` ends this shell and deletes the device.\n`)
    await runShell()
  })
}

async function tour(io: Io, options: StartOptions, run: Run): Promise<void> {
  const quiet = options.json === true
  const result = await runTour({ io, quiet, runVerb: run, runProgram })
  if (quiet) printJson(io, result)
  else io.out(result.ok ? 'The tour went well.\n' : 'The tour FAILED: see above.\n')
  if (!result.ok) throw new ExitCode(EXIT_FAILED)
}

function explainVm(checks: readonly Check[]): string {
  const missing = checks.filter(check => check.required && !check.ok)
  const reasons = missing.map(({ name, detail }) => `  ${name}: ${detail}`)
  return `No ublk device can be made on this machine as it is:
${reasons.join('\n')}
\`${commandName()} doctor\` says how to mend it. Until then, the same in a throwaway VM that has ublk.
The first time its kernel is downloaded, about 100 MiB; without KVM its start takes up to a minute.

`
}

/** The same job in the guest, in one process there. */
async function inVm(io: Io, options: StartOptions, checks: readonly Check[]): Promise<void> {
  const vm = await io.vm()
  const json = options.json === true
  // stdout is for the one value.
  if (json) io.err(explainVm(checks))
  else io.out(explainVm(checks))
  const mode = io.interactive && !json ? '--shell' : '--tour'
  const command = [process.execPath, scriptPath(), 'start', mode, ...(json ? ['--json'] : [])]
  const kept = collector()
  const { code } = await vm.runInVm({
    command,
    cwd: packageRoot(),
    ...(mode === '--shell' ? { interactive: true, env: { SHELL: shellProgram() } } : {}),
    ...(json ? { stdout: kept.stream } : {}),
  })
  if (json) io.out(kept.text())
  if (code !== EXIT_DONE) throw new ExitCode(code)
}

async function check(machine: Machine): Promise<Check[]> {
  const checks = await runChecks(machine)
  const onlyModule = checks.every(
    ({ ok, required, name }) =>
      ok || !required || name === 'ublk module' || name === 'ublk control',
  )
  if (canMakeDevice(checks) || !onlyModule || machine.uid !== 0) return checks
  // Root, and all that is missing is a module that is installed: load it, as mount(8) does for a file system.
  const { code } = await runProgram('modprobe', ['ublk_drv'])
  return code === EXIT_DONE ? runChecks(machine) : checks
}

/** The verb on a given machine. */
export async function start(
  io: Io,
  machine: Machine,
  options: StartOptions,
  run: Run,
): Promise<void> {
  if (options.tour === true && options.shell === true) {
    throw new UsageError('--tour with --shell: give one of them')
  }
  if (options.shell === true && !io.interactive) throw new UsageError('--shell needs a terminal')
  const checks = await check(machine)
  const isForced = options.tour === true || options.shell === true
  if (!canMakeDevice(checks) && !isForced) return inVm(io, options, checks)
  if (options.shell === true) return shell(io)
  if (options.tour === true || !io.interactive) return tour(io, options, run)
  return serve(io, options)
}

export function registerStart(command: Command, io: Io, run: Run): void {
  command
    .option('--tour', 'run a tour of a few seconds here, terminal or not, and end')
    .option('--shell', 'open a shell here with the device ready, and end with it')
    .action(options => start(io, thisMachine(io), options, run))
  finishVerb(command, ['zslab start', 'zslab start --tour', 'zslab start --tour --json'])
}
