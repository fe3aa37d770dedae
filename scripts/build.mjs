/**
 * Builds what is out of date: TypeScript to dist/ (tsc, join.mjs), the addon (build-addon.mjs). `--asan` builds the addon that the sanitizer
 * run of the tests loads, and no TypeScript. `--force` compiles TypeScript even if nothing changed.
 *
 * Prints a line for each thing that took time, nothing when all is up to date. Exit code 1 and the compiler's words on failure.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { filesUnder, fingerprint, readStamp, writeStamp } from './stamp.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SOURCES = [
  'zone-model',
  'ublk-native',
  'devices',
  'image',
  'devices',
  'daemon',
  'cli',
  'vm',
  'test',
  'bench',
  'store',
]

const seconds = start => `${((performance.now() - start) / 1000).toFixed(1)} s`

async function compile(force) {
  const others = ['tsconfig.json', 'package-lock.json', 'scripts/join.mjs']
  const files = filesUnder(
    [...SOURCES, ...others].map(name => join(ROOT, name)),
    path => /\.(ts|json|mjs)$/.test(path) && !path.includes('/peers/'),
  )
  const current = fingerprint(files, process.version)
  const stamp = join(ROOT, 'dist', '.stamp')
  const entry = join(ROOT, 'dist', 'cli', 'index.js')
  if (!force && readStamp(stamp) === current && existsSync(entry)) return true
  const start = performance.now()
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  const { status, stdout, stderr } = spawnSync(process.execPath, [tsc, '--pretty', 'false'], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  if (status !== 0) {
    process.stderr.write(`${stdout}${stderr}TypeScript did not compile.\n`)
    return false
  }
  if (existsSync(entry)) chmodSync(entry, 0o755)
  const { joinPackage } = await import('./join.mjs')
  await joinPackage(join(ROOT, 'dist'))
  writeStamp(stamp, current)
  console.log(`built   dist (TypeScript)   ${seconds(start)}`)
  return true
}

/** The addon's path, or undefined when it did not compile. The builder itself knows what is out of date. */
async function addon(asan) {
  const start = performance.now()
  const { buildAddon } = await import('./build-addon.mjs')
  try {
    const path = await buildAddon({ asan })
    const milliseconds = performance.now() - start
    if (milliseconds > 500)
      console.log(`built   addon${asan ? ' (ASan, UBSan)' : ''}   ${seconds(start)}`)
    return path
  } catch (error) {
    process.stderr.write(`${error.message}\nThe addon did not compile.\n`)
    return undefined
  }
}

/** The sanitizer build's path, or undefined when it did not compile. */
export function buildAsan() {
  return addon(true)
}

/** True when everything is built. */
export async function build({ force = false } = {}) {
  // Both, so that one run shows both compilers' complaints.
  const compiled = await compile(force)
  return (await addon(false)) !== undefined && compiled
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const options = process.argv.slice(2)
  const done = options.includes('--asan')
    ? (await buildAsan()) !== undefined
    : await build({ force: options.includes('--force') })
  process.exitCode = done ? 0 : 1
}
