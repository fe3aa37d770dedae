/**
 * `npm run fuzz`: the tests that draw at random (models against naive ones, crashes, media, queues), again and again with new
 * seeds, until one fails or the time is over. `npm test` runs each of them once.
 *
 *   --minutes N   how long (default 10); a round that has begun is ended
 *   --only TEXT   files whose path has it
 *   --seed N      the first round's seed; each round takes the next number (default: at random)
 *
 * Prints a line a round. A failure prints what the test said and the command that runs it again; exit code 1.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const VITEST = join('node_modules', 'vitest', 'vitest.mjs')
/** How a test's text shows that it takes its seed from SEED or ZSLAB_SEED. */
const TAKES_A_SEED = /[fF]romEnvironment\(|from '\.\/random\.js'|from '\.\.\/conformance\//
/** Folders of tests that need no kernel, and the project that each belongs to. */
const FOLDERS = { 'zone-model': 'unit', daemon: 'unit', cli: 'unit', native: 'native' }
const SEED_LIMIT = 2 ** 31

/** A whole number of at least 0, or the end with exit code 2. */
function whole(option, text, limit) {
  const value = Number(text)
  if (/^\d+$/.test(text) && value < limit) return value
  console.error(`--${option} ${text}: expected a whole number from 0 to ${limit - 1}`)
  process.exit(2)
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    only: { type: 'string', default: '' },
    seed: { type: 'string' },
  },
})
const minutes = whole('minutes', values.minutes, 100_000)
const first =
  values.seed === undefined
    ? Math.floor(Math.random() * SEED_LIMIT)
    : whole('seed', values.seed, SEED_LIMIT)
const tests = Object.entries(FOLDERS).flatMap(([folder, project]) =>
  readdirSync(join(ROOT, 'test', folder))
    .filter(name => name.endsWith('.test.ts'))
    .map(name => ({ project, file: `test/${folder}/${name}` }))
    .filter(({ file }) => TAKES_A_SEED.test(readFileSync(join(ROOT, file), 'utf8'))),
)
const chosen = tests.filter(({ file }) => file.includes(values.only))
if (chosen.length === 0) {
  const all = tests.map(({ file }) => file).join('\n  ')
  console.error(`--only ${values.only}: expected a part of one of\n  ${all}`)
  process.exit(2)
}

/** One file with one seed: null, or what it said when it failed. */
function failureOf({ project, file }, seed) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      VITEST,
      'run',
      '--project',
      project,
      '--reporter=dot',
      '--hookTimeout=300000',
      '--testTimeout=300000',
      file,
    ],
    {
      cwd: ROOT,
      encoding: 'utf8',
      maxBuffer: 256 << 20,
      env: { ...process.env, SEED: String(seed), ZSLAB_SEED: String(seed) },
    },
  )
  return status === 0 ? null : `${stdout}${stderr}`
}

const begin = performance.now()
const elapsed = () => (performance.now() - begin) / 1000
let rounds = 0
do {
  const seed = (first + rounds) % SEED_LIMIT
  for (const test of chosen) {
    const said = failureOf(test, seed)
    if (said === null) continue
    console.error(`${said}\n${test.file} failed with seed ${seed}. Again:`)
    console.error(`  npm run fuzz -- --minutes 0 --seed ${seed} --only ${test.file}`)
    process.exit(1)
  }
  rounds++
  console.log(
    `round ${rounds}, seed ${seed}: ${chosen.length} files passed, ${elapsed().toFixed(0)} s`,
  )
} while (elapsed() < minutes * 60)
