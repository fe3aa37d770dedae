/**
 * All figures of the store, one after another: each question is a bench file of its own, which also runs alone.
 *
 * Installs what the store is measured against (bench/peers) when that has not been done. Redis and memcached are measured when they
 * are on the machine: apt-get install redis-server memcached.
 *
 * Run: npm run bench:store -- [--objects N] [--rounds 5] [--large] [--json]     (--json: one line a bench)
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const FIGURES = [
  'store-speed.js',
  'store-memory.js',
  'store-writes.js',
  'store-expiry.js',
  'store-restart.js',
  'store-alloc.js',
]
/** Simulations of their own, without these options. The hit ratios need traces: see bench/cache.ts. */
const OTHERS = ['space.js', 'cache.js']

const peers = fileURLToPath(new URL('../../bench/peers', import.meta.url))
if (!existsSync(`${peers}/node_modules`)) {
  console.error('installing what the store is measured against: npm ci --prefix bench/peers')
  const { status } = spawnSync('npm', ['ci', '--prefix', peers, '--no-audit', '--no-fund'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status !== 0) console.error('that failed: what is missing is left out below, and named')
}

const options = process.argv.slice(2)
const isJson = options.includes('--json')
let failed = 0
for (const name of [...FIGURES, ...OTHERS]) {
  if (name === 'cache.js' && process.env['ZSLAB_TRACES'] === undefined) {
    if (!isJson)
      console.log(
        '\nhit ratios: not measured: say in ZSLAB_TRACES where the traces are (bench/cache.ts)',
      )
    continue
  }
  const script = fileURLToPath(new URL(name, import.meta.url))
  const args = OTHERS.includes(name) ? options.filter(option => option === '--json') : options
  const { status } = spawnSync(process.execPath, [script, ...args], { stdio: 'inherit' })
  if (status !== 0) {
    console.error(`${name} ended with ${status}`)
    failed++
  }
}
process.exitCode = failed > 0 ? 1 : 0
