/**
 * The command line as a whole: which verb groups there are, and one run of one of them.
 *
 * Only the group that is named is loaded; the others are a line in the help. `run` never throws and never exits: it gives
 * the exit code, so that a verb can be run from within another (`zslab start` does) and from a test.
 */
import { Command, CommanderError } from 'commander'
import type { Io } from './io.js'
import { EXIT_DONE, EXIT_MISUSED, reportError, UsageError } from './output.js'

/** Adds the verbs of a group to its command. */
export type Register = (command: Command, io: Io, run: Run) => void | Promise<void>

/** `run` below, handed to verbs that run others in process. */
export type Run = (argv: readonly string[], io: Io) => Promise<number>

interface Group {
  readonly name: string
  readonly summary: string
  readonly load: () => Promise<Register>
}

const GROUPS: readonly Group[] = [
  {
    name: 'start',
    summary: 'make a device, show where it is, serve it until Ctrl-C (in a VM where it must)',
    load: async () => (await import('./start.js')).registerStart,
  },
  {
    name: 'doctor',
    summary: 'what this machine can do, what is missing, and the command that mends it',
    load: async () => (await import('./doctor.js')).registerDoctor,
  },
  {
    name: 'device',
    summary: 'create, list, show, delete and recover devices',
    load: async () => (await import('./device.js')).registerDevice,
  },
  {
    name: 'zone',
    summary: 'report, open, close, finish, reset zones; make them read-only or offline',
    load: async () => (await import('./zone.js')).registerZone,
  },
  {
    name: 'fault',
    summary: 'make requests fail, wait or be torn, by order and repeatably',
    load: async () => (await import('./fault.js')).registerFault,
  },
  {
    name: 'explain',
    summary: 'the last refused I/Os: what came, the zone before, the rule, what to do',
    load: async () => (await import('./explain.js')).registerExplain,
  },
  {
    name: 'stats',
    summary: 'I/O, bytes, same-fill pages, memory, resets and writes of each zone',
    load: async () => (await import('./stats.js')).registerStats,
  },
  {
    name: 'trace',
    summary: 'record the requests to a device, replay them on another, compare the results',
    load: async () => (await import('./trace.js')).registerTrace,
  },
  {
    name: 'image',
    summary: 'check, repair, snapshot and clone drives that live in a directory',
    load: async () => (await import('./image.js')).registerImage,
  },
  {
    name: 'store',
    summary: 'objects with a time to live in a directory or on a zoned device; no daemon',
    load: async () => (await import('./store.js')).registerStore,
  },
  {
    name: 'daemon',
    summary: 'run the daemon in the foreground (commands start one when they need it)',
    load: async () => (await import('./daemon.js')).registerDaemon,
  },
  {
    name: 'vm',
    summary: 'run a command in a throwaway VM whose kernel has ublk',
    load: async () => (await import('./vm.js')).registerVm,
  },
]

const AFTER = `
A first session (as root):
  $ zslab device create                 makes /dev/ublkb0 and starts a daemon for it
  $ zslab zone report 0                 its zones, conditions and write pointers
  $ zslab device delete 0

DEV is a number or a path: 0, ublkb0 and /dev/ublkb0 are the same.
Every verb has --json and --help. Exit codes: 0 done, 1 failed, 2 misused.`

/** Commander talks to `io`, throws instead of leaving the process, and leaves errors to us. */
function quieten(command: Command, io: Io): void {
  command.exitOverride()
  command.configureOutput({
    writeOut: text => io.out(text),
    writeErr: text => io.err(text),
    outputError: () => {},
  })
  command.helpCommand(false)
  for (const child of command.commands) quieten(child, io)
}

async function buildProgram(argv: readonly string[], io: Io): Promise<Command> {
  const program = new Command('zslab')
  program
    .description(
      'An emulated ZNS drive on a stock Linux kernel: /dev/ublkbN, served from user space.',
    )
    .version((await import('./version.js')).packageVersion(), '-V, --version', 'print the version')
    .enablePositionalOptions()
    .addHelpText('after', AFTER)
  for (const { name, summary, load } of GROUPS) {
    const command = program.command(name).description(summary)
    if (argv[0] !== name) continue
    const register = await load()
    await register(command, io, run)
  }
  quieten(program, io)
  return program
}

/** "zslab device create --help", for the command that argv names. */
function helpCommandOf(program: Command, argv: readonly string[]): string {
  let command = program
  let path = 'zslab'
  for (const word of argv) {
    const child = command.commands.find(candidate => candidate.name() === word)
    if (child === undefined) break
    command = child
    path += ` ${word}`
  }
  return `${path} --help`
}

/** A group without its verb, or nothing at all: the help, as an error. */
function isHelpAsError(error: CommanderError): boolean {
  return error.code === 'commander.help'
}

/** Whether the words before "--" ask for JSON: errors of parsing must know it too. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return argv.slice(0, end < 0 ? argv.length : end).includes('--json')
}

/** One run of the command line. `argv` without node and script. Gives the exit code. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  // "zslab help device create" is what people try first.
  const words = argv[0] === 'help' ? [...argv.slice(1), '--help'] : [...argv]
  const json = wantsJson(words)
  const program = await buildProgram(words, io)
  try {
    await program.parseAsync(words, { from: 'user' })
    return EXIT_DONE
  } catch (error) {
    const help = helpCommandOf(program, words)
    if (!(error instanceof CommanderError)) return reportError(io, json, error, help)
    if (error.exitCode === 0) return EXIT_DONE
    if (isHelpAsError(error)) return EXIT_MISUSED
    const message = error.message.replace(/^error: /, '').replace(/\n/g, ' ')
    return reportError(io, json, new UsageError(message), help)
  }
}
