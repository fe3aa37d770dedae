/**
 * `zslab daemon`: the daemon in the foreground, or the end of the one that runs.
 *
 * This is the one file of cli that may import the daemon itself: here the command is the daemon. Commands that need one
 * start it in the background by themselves.
 */
import type { Command } from 'commander'
import { type CommonOptions, finishVerb } from './arguments.js'
import type { Io } from './io.js'
import { printJson, printResult } from './output.js'

interface DaemonOptions extends CommonOptions {
  stop?: boolean
  idleExit?: boolean
}

async function stop(io: Io, options: DaemonOptions): Promise<void> {
  const client = await io.client()
  const { pid } = await client.request('shutdown', {})
  printResult(
    io,
    options.json === true,
    { pid, stopped: true },
    () => `daemon ${pid} drains and ends\n`,
  )
}

async function serve(io: Io, options: DaemonOptions): Promise<void> {
  const { socketPath } = await io.client()
  const { runDaemon } = await import('../daemon/index.js')
  await runDaemon({
    idleExit: options.idleExit === true,
    // With --json the one value says that requests are answered; the log is on stderr either way.
    onReady: () => {
      if (options.json === true) printJson(io, { pid: process.pid, socket: socketPath() })
    },
  })
}

export function registerDaemon(command: Command, io: Io): void {
  command
    .option('--stop', 'drain and end the daemon that runs, instead of being one')
    .option('--idle-exit', 'end when there has been no device for some seconds')
    .action((options: DaemonOptions) =>
      options.stop === true ? stop(io, options) : serve(io, options),
    )
  finishVerb(command, [
    'zslab daemon 2>daemon.log',
    'ZSLAB_LOG=debug zslab daemon --socket /tmp/test.sock',
    'zslab daemon --stop',
  ])
}
