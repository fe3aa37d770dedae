#!/usr/bin/env node
/**
 * cli: the command `zslab`. It asks the daemon; it never serves a device itself.
 *
 * Goals: every verb answers within a second, reads well for people and, with --json, for programs; exit codes are 0 done,
 * 1 failed, 2 misused; every error says what to do next. Non-goals: rules of zones (zone-model decides), state (the daemon
 * keeps it), and I/O to a block device (`trace replay` is a program that does it, as fio is).
 */
import { processIo } from './io.js'
import { run } from './program.js'

// `zslab … | head` is no defect: whoever read has read enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

process.exitCode = await run(process.argv.slice(2), processIo())
