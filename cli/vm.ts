/**
 * `zslab vm`: a command, or a shell, in a throwaway VM whose kernel has ublk and which sees this machine's files.
 *
 * The exit code is the command's own, as with ssh; with --json its output is in the one value that is printed.
 */
import { Writable } from 'node:stream'
import type { Command } from 'commander'
import { type CommonOptions, finishVerb, parseChoice, parseInteger } from './arguments.js'
import type { Io, VmModule } from './io.js'
import { EXIT_DONE, ExitCode, printJson, UsageError } from './output.js'

const CPUS_MAX = 64
const MEMORY_MIB_MIN = 256
const MEMORY_MIB_MAX = 1024 * 1024
const MIB = 1024 * 1024

interface VmVerbOptions extends CommonOptions {
  kernel?: string
  cpus?: string
  memory?: string
}

/** A stream that keeps what is written to it. */
export function collector(): { stream: Writable; text: () => string } {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done): void {
      chunks.push(Buffer.from(chunk))
      done()
    },
  })
  return { stream, text: () => Buffer.concat(chunks).toString() }
}

async function parseMemoryMiB(io: Io, text: string): Promise<number> {
  const { parseBytes } = await io.client()
  const mib = Math.floor(parseBytes(text) / MIB)
  if (!(mib >= MEMORY_MIB_MIN && mib <= MEMORY_MIB_MAX)) {
    throw new UsageError(`--memory ${text}: expected a size from ${MEMORY_MIB_MIN}M to 1T, as 2G`)
  }
  return mib
}

type RunOptions = Parameters<VmModule['runInVm']>[0]

async function runOptions(
  io: Io,
  vm: VmModule,
  words: string[],
  options: VmVerbOptions,
): Promise<RunOptions> {
  const run: RunOptions = { command: words }
  if (options.kernel !== undefined) {
    run.kernel = parseChoice('--kernel', options.kernel, vm.KERNEL_SERIES)
  }
  if (options.cpus !== undefined) run.cpus = parseInteger('--cpus', options.cpus, 1, CPUS_MAX)
  if (options.memory !== undefined) run.memoryMiB = await parseMemoryMiB(io, options.memory)
  return run
}

async function vm(io: Io, words: string[], options: VmVerbOptions): Promise<void> {
  const module = await io.vm()
  const run = await runOptions(io, module, words, options)
  if (options.json === true) {
    if (words.length === 0) throw new UsageError('COMMAND is missing: --json cannot be a shell')
    const [stdout, stderr] = [collector(), collector()]
    const result = await module.runInVm({ ...run, stdout: stdout.stream, stderr: stderr.stream })
    printJson(io, { ...result, stdout: stdout.text(), stderr: stderr.text() })
    if (result.code !== EXIT_DONE) throw new ExitCode(result.code)
    return
  }
  if (words.length === 0 && !io.interactive) {
    throw new UsageError('COMMAND is missing: a shell needs a terminal')
  }
  const { code } = await module.runInVm(
    io.interactive ? { ...run, interactive: true } : { ...run, stdin: 'inherit' },
  )
  if (code !== EXIT_DONE) throw new ExitCode(code)
}

export function registerVm(command: Command, io: Io): void {
  command
    .argument('[command...]', 'what to run there; nothing: a shell')
    .option('--kernel <series>', 'kernel of the VM: 6.12, 6.18 or 7.2 (default: 6.12)')
    .option('--cpus <n>', 'virtual CPUs (default: 2)')
    .option('--memory <size>', 'memory of the VM, as 2G (default: 60 % of the host, at most 4G)')
    .passThroughOptions()
    .action((words, options) => vm(io, words, options))
  finishVerb(command, [
    'zslab vm',
    'zslab vm -- lsblk -z',
    'zslab vm --kernel 6.18 --cpus 1 -- sh -c "zslab device create && blkzone report /dev/ublkb0"',
    'zslab vm --json -- uname -r',
  ])
}
