/**
 * Makes a fresh clone ready: `node scripts/setup.mjs run` before `npm start`, `… test` before `npm test`.
 *
 * Steps: Node's version, system packages, npm packages, the build. Each is skipped when nothing changed (second run: well under
 * a second) and prints one line when it did something. No dependencies: it runs before there are any.
 * Exit code 1, with what to do, when a step fails.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NODE_MAJOR_MIN = 20
const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Says why and what to do, and ends. */
function fail(message) {
  process.stderr.write(`\n${message}\n`)
  process.exit(1)
}

/** Node 18 (Debian 12's own) parses this file; what needs 20 is imported later. */
function checkNode() {
  if (process.platform !== 'linux') {
    fail(
      'zns-slab makes block devices of the Linux kernel: run it on Linux. (The zone model alone, `import` from "zns-slab", runs anywhere.)',
    )
  }
  const major = Number(process.versions.node.split('.')[0])
  if (major >= NODE_MAJOR_MIN) return
  fail(
    `Node ${process.versions.node} is too old: ${NODE_MAJOR_MIN} or newer is needed. On Debian and Ubuntu:\n\n` +
      '  curl -fsSL https://deb.nodesource.com/setup_22.x | sudo bash - && sudo apt-get install -y nodejs\n',
  )
}

async function step(name, body) {
  const start = performance.now()
  const did = await body()
  if (did === undefined) return
  console.log(`${did.padEnd(40)} ${((performance.now() - start) / 1000).toFixed(1)} s   (${name})`)
}

async function systemPackages(mode) {
  const { missingPackages, installPackages } = await import('./packages.mjs')
  const missing = missingPackages(mode)
  if (missing.length === 0) return undefined
  const names = missing.map(entry => entry.name)
  const problem = installPackages(missing)
  if (problem !== undefined) fail(problem)
  const still = missingPackages(mode).filter(entry => !entry.optional)
  if (still.length > 0) {
    fail(
      `apt-get is content, but these are still not to be found: ${still.map(e => e.name).join(' ')}.`,
    )
  }
  return `installed ${names.join(' ')}`
}

/** npm itself is beside the node that runs us, or is the one that called us. */
function npmCommand() {
  const caller = process.env.npm_execpath
  if (caller !== undefined && /npm-cli\.[cm]?js$/.test(caller)) return [process.execPath, caller]
  const beside = join(dirname(process.execPath), 'npm')
  return [existsSync(beside) ? beside : 'npm']
}

/** What npm said when it failed, '' when it did not. */
function runNpm(verb) {
  const [program, ...words] = npmCommand()
  const flags = [
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    '--include=dev',
    '--include=optional',
  ]
  const run = spawnSync(program, [...words, ...verb, ...flags], { cwd: ROOT, encoding: 'utf8' })
  if (run.status === 0) return ''
  return (
    `${run.stdout ?? ''}${run.stderr ?? ''}${run.error?.message ?? ''}` || 'npm failed silently'
  )
}

async function npmPackages() {
  const { readStamp, writeStamp } = await import('./stamp.mjs')
  const lock = join(ROOT, 'package-lock.json')
  const stamp = join(ROOT, 'node_modules', '.zslab-lock')
  const current = createHash('sha256')
    .update(readFileSync(lock))
    .update(process.version)
    .digest('hex')
  if (readStamp(stamp) === current) return undefined
  // A developer's own `npm install` is as good: npm leaves a lock file of its own, newer than ours.
  const own = statSync(join(ROOT, 'node_modules', '.package-lock.json'), { throwIfNoEntry: false })
  if (readStamp(stamp) === '' && own !== undefined && own.mtimeMs >= statSync(lock).mtimeMs) {
    writeStamp(stamp, current)
    return undefined
  }
  const first = runNpm(['ci'])
  // A lock file made where a package of another platform could not be seen is refused by `npm ci`, and is good for this one.
  const result = first.includes('EUSAGE') ? runNpm(['install', '--no-save']) : first
  if (result !== '') {
    const offline = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH/.test(result)
    const why = offline
      ? 'npm cannot reach its registry: the first run needs a network.'
      : 'npm failed.'
    fail(`${result}\n${why}`)
  }
  writeStamp(stamp, current)
  return 'installed npm packages'
}

async function compile() {
  const { build } = await import('./build.mjs')
  if (!(await build())) process.exit(1)
  return undefined
}

checkNode()
const mode = process.argv[2]
if (mode !== 'run' && mode !== 'test') fail('Usage: node scripts/setup.mjs run|test')
await step('apt-get', () => systemPackages(mode))
await step('npm ci', npmPackages)
await step('build', compile)
