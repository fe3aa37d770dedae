/**
 * What the set-up touches of this machine, in one object that the tests replace: programs, files, output, time.
 *
 * host: { platform, nodeVersion, uid, execPath, env, hasProgram(name), exists(path), run(program, args, options?) → {code, text},
 * out(text), err(text), nowMs() }. `run` waits, keeps stdout and stderr in one text, and gives code 127 for what cannot be run.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { join } from 'node:path'

/** What a failed run's text says about the machine, for a person who does not want to read it. */
export function explainFailure(text, program, server) {
  if (/ENOSPC|No space left|not enough free space|don't have enough free space/i.test(text)) {
    return `The disk is full: make room (a first run needs about 1.5 GB), then run this again; nothing has to be undone.`
  }
  const offline =
    /Could not resolve|Temporary failure|Network is unreachable|Could not connect|Unable to connect|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH/i
  if (offline.test(text)) {
    return `${program} cannot reach ${server}: the first run needs a network. Run this again when there is one.`
  }
  return `${program} failed.`
}

/** This machine. */
export function thisHost() {
  const folders = [
    ...(process.env.PATH || '').split(':').filter(folder => folder !== ''),
    ...['/usr/sbin', '/sbin', '/usr/bin', '/bin'],
  ]
  const hasProgram = name =>
    folders.some(folder => {
      try {
        accessSync(join(folder, name), constants.X_OK)
        return true
      } catch {
        return false
      }
    })
  const run = (program, args, options = {}) => {
    const result = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options })
    const text = `${result.stdout || ''}${result.stderr || ''}${result.error ? result.error.message : ''}`
    return { code: result.status === null ? 127 : result.status, text }
  }
  return {
    platform: process.platform,
    nodeVersion: process.versions.node,
    uid: process.getuid ? process.getuid() : -1,
    execPath: process.execPath,
    env: process.env,
    hasProgram,
    exists: existsSync,
    run,
    out: text => process.stdout.write(text),
    err: text => process.stderr.write(text),
    nowMs: () => performance.now(),
  }
}
