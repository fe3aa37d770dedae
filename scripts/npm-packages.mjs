/**
 * The npm packages of the lock file: `npm ci` when they are not there or belong to another lock file or Node.
 *
 * A stamp in node_modules says which lock file they are of; npm deletes it first of all, so an interrupted run is done again.
 */
import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { explainFailure } from './host.mjs'
import { readStamp, writeStamp } from './stamp.mjs'

const FLAGS = [
  '--no-audit',
  '--no-fund',
  '--loglevel=error',
  '--include=dev',
  '--include=optional',
  // npm's own would be silent for a minute before it says that there is no network.
  '--fetch-retry-maxtimeout=10000',
]

/** npm is the one that called us, or is beside the node that runs us, or is in the PATH. */
function npmCommand(host) {
  const caller = host.env.npm_execpath
  if (caller !== undefined && /npm-cli\.[cm]?js$/.test(caller)) return [host.execPath, caller]
  const beside = join(dirname(host.execPath), 'npm')
  return [host.exists(beside) ? beside : 'npm']
}

function lockHash(lock, host) {
  return createHash('sha256').update(readFileSync(lock)).update(host.nodeVersion).digest('hex')
}

/** Whether `root`/node_modules is what the lock file says. */
export function areNpmPackagesThere(root, host) {
  const lock = join(root, 'package-lock.json')
  const stamp = join(root, 'node_modules', '.zslab-lock')
  const current = lockHash(lock, host)
  const kept = readStamp(stamp)
  if (kept === current) return true
  // A developer's own `npm install` is as good: npm leaves a lock file of its own, newer than ours.
  const own = statSync(join(root, 'node_modules', '.package-lock.json'), { throwIfNoEntry: false })
  if (kept !== '' || own === undefined || own.mtimeMs < statSync(lock).mtimeMs) return false
  writeStamp(stamp, current)
  return true
}

/** Installs them. Returns undefined when done, else what to tell the user. */
export function installNpmPackages(root, host) {
  const [program, ...words] = npmCommand(host)
  const npm = verb => host.run(program, [...words, ...verb, ...FLAGS], { cwd: root })
  const first = npm(['ci'])
  // A lock file made where a package of another platform could not be seen is refused by `npm ci`, and is good for this one.
  const result =
    first.code !== 0 && first.text.includes('EUSAGE') ? npm(['install', '--no-save']) : first
  if (result.code !== 0) {
    return `${result.text.trim()}\n\n${explainFailure(result.text, 'npm', 'its registry')}`
  }
  const lock = join(root, 'package-lock.json')
  writeStamp(join(root, 'node_modules', '.zslab-lock'), lockHash(lock, host))
  return undefined
}
