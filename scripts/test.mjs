/**
 * `npm test`: everything, and one verdict.
 *
 *   host     unit, gc and native tests, on this machine
 *   asan     native tests again, the addon built with ASan and UBSan
 *   kernel   tests on a real kernel with ublk: here if /dev/ublk-control is there, else in a VM for each of KERNELS (in CI they
 *            share the work)
 *
 * Options for developers: --kernel 6.12 (again for more), --suite host|asan|kernel (again for more), --only PATTERN (files whose
 * path contains it), --serial (one VM at a time). Ends with a table and `N passed, N failed, N skipped`; exit code 1 on a failed
 * test, a kernel warning, or a suite that ran nothing.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildAsan } from './build.mjs'
import { brokenOutcome, isGood, readOutcome, report } from './summary.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const KERNELS = ['6.12', '6.18']
/**
 * In CI (CI=true) the kernels share the work: what is about us more than about the kernel runs on one of them, and layouts of
 * one queue on the one, of two on the other. Everywhere else, and on a kernel that --kernel asks for, everything runs.
 */
const isShared = process.env.CI === 'true'
const LAYOUT_QUEUES = { 6.12: '1', 6.18: '2' }
const ON_ONE_KERNEL = {
  6.12: [
    'commands',
    'discard',
    'faults',
    'image-copies',
    'lifecycle',
    'media',
    'power-cut',
    'zoned-block-device',
  ],
  6.18: ['image', 'recovery', 'tier', 'tier-kill', 'trace'],
}
const VM_MEMORY_MIB = 4096
const VM_TIMEOUT_MS = 90 * 60_000
const VITEST = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs')
const REPORTER = join(ROOT, 'scripts', 'vitest-reporter.mjs')

const { values: options } = parseArgs({
  options: {
    kernel: { type: 'string', multiple: true },
    suite: { type: 'string', multiple: true },
    only: { type: 'string' },
    serial: { type: 'boolean', default: false },
  },
})
const scratch = mkdtempSync(join(tmpdir(), 'zslab-npm-test-'))
const clock = () => {
  const start = performance.now()
  return () => (performance.now() - start) / 1000
}

function vitestArguments(projects) {
  const chosen = projects.flatMap(name => ['--project', name])
  const reporters = ['--reporter=default', `--reporter=${REPORTER}`]
  return [VITEST, 'run', ...chosen, ...reporters, ...(options.only ? [options.only] : [])]
}

/** Runs vitest here; resolves with its exit code. */
function vitestHere(projects, file, env = {}) {
  return new Promise(resolve => {
    const child = spawn(process.execPath, vitestArguments(projects), {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env, ZSLAB_REPORT: file },
    })
    child.on('close', (code, signal) => resolve(code ?? `signal ${signal}`))
  })
}

async function hostSuite(project) {
  const file = join(scratch, `${project}.json`)
  const seconds = clock()
  const code = await vitestHere([project], file)
  return readOutcome(project, '-', file, { code, seconds: seconds() })
}

/** The sanitizers' run-time libraries have to be in the process before anything else is. */
async function asanSuite() {
  const seconds = clock()
  const addon = await buildAsan()
  if (addon === undefined) {
    return brokenOutcome('asan', '-', 'the sanitizer build of the addon failed', seconds())
  }
  const library = name =>
    spawnSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim()
  const file = join(scratch, 'asan.json')
  const code = await vitestHere(['native'], file, {
    LD_PRELOAD: `${library('libasan.so')} ${library('libubsan.so')}`,
    // Node never frees what it keeps to its end: leak reports would all be its own.
    ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1',
    UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
    ZSLAB_ADDON: addon,
  })
  return readOutcome('asan', '-', file, { code, seconds: seconds() })
}

/** Whole lines, each with the kernel that it is about: two VMs talk at once. */
function prefixed(label, target) {
  let rest = ''
  const lines = new Transform({
    transform(chunk, _encoding, callback) {
      const parts = (rest + String(chunk)).split('\n')
      rest = parts.pop()
      callback(null, parts.map(line => `[${label}] ${line}\n`).join(''))
    },
    flush(callback) {
      callback(null, rest === '' ? '' : `[${label}] ${rest}\n`)
    },
  })
  lines.pipe(target, { end: false })
  return lines
}

async function kernelInVm(vm, series, left) {
  const seconds = clock()
  const outputFolder = join(scratch, series)
  const kernelLog = join(ROOT, 'build', `kernel-${series}.log`)
  const stdout = prefixed(series, process.stdout)
  const stderr = prefixed(series, process.stderr)
  try {
    const result = await vm.runInVm({
      kernel: series,
      command: [
        process.execPath,
        ...vitestArguments(['kernel']),
        ...left.flatMap(name => ['--exclude', `**/${name}.test.ts`]),
      ],
      cwd: ROOT,
      env: {
        ZSLAB_REPORT: '/run/zslab-out/report.json',
        ...(left.length > 0 && { ZSLAB_LAYOUT_QUEUES: LAYOUT_QUEUES[series] }),
      },
      memoryMiB: VM_MEMORY_MIB,
      timeoutMs: VM_TIMEOUT_MS,
      outputFolder,
      kernelLog,
      stdout,
      stderr,
    })
    const file = join(outputFolder, 'report.json')
    const facts = { code: result.code, warnings: result.dmesgWarnings, seconds: seconds() }
    return readOutcome('kernel', series, file, facts)
  } catch (error) {
    if (error.code === 'ERR_VM_INTERRUPTED') throw error
    return brokenOutcome('kernel', series, `${error.message} (log: ${kernelLog})`, seconds())
  } finally {
    stdout.end()
    stderr.end()
  }
}

/** The host's kernel complained only of what is new in its log. */
async function kernelHere(vm) {
  const log = () => spawnSync('dmesg', [], { encoding: 'utf8', maxBuffer: 1 << 28 }).stdout ?? ''
  const before = new Set(vm.kernelWarnings(log()))
  const file = join(scratch, 'kernel.json')
  const seconds = clock()
  const code = await vitestHere(['kernel'], file)
  const warnings = vm.kernelWarnings(log()).filter(line => !before.has(line))
  const release = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()
  return readOutcome('kernel', release, file, { code, warnings, seconds: seconds() })
}

async function kernelSuites() {
  const vm = await import('../dist/vm/index.js')
  if (existsSync('/dev/ublk-control') && options.kernel === undefined) return [await kernelHere(vm)]
  const kernels = options.kernel ?? KERNELS
  const leftOut = series =>
    isShared && options.kernel === undefined
      ? KERNELS.filter(other => other !== series).flatMap(other => ON_ONE_KERNEL[other])
      : []
  console.log(
    `This kernel has no ublk: running the kernel tests in a VM on ${kernels.join(' and ')}. ` +
      'Kernels are downloaded once.' +
      (isShared && options.kernel === undefined ? ' CI=true: they share the work.' : ''),
  )
  // Under TCG most of a test is one busy virtual CPU: two VMs side by side use two cores where one VM cannot.
  const fits = totalmem() / 1048576 > kernels.length * VM_MEMORY_MIB * 1.5
  if (fits && !options.serial) {
    return Promise.all(kernels.map(series => kernelInVm(vm, series, leftOut(series))))
  }
  const outcomes = []
  for (const series of kernels) outcomes.push(await kernelInVm(vm, series, leftOut(series)))
  return outcomes
}

async function main() {
  const suites = options.suite ?? ['host', 'asan', 'kernel']
  const outcomes = []
  if (suites.includes('host')) {
    for (const project of ['unit', 'gc', 'native']) outcomes.push(await hostSuite(project))
  }
  if (suites.includes('asan')) outcomes.push(await asanSuite())
  if (suites.includes('kernel')) outcomes.push(...(await kernelSuites()))
  // With --only, a suite that has no such file is no failure; that no suite has one is.
  const ran = outcomes.filter(
    o => options.only === undefined || o.passed + o.skipped.length > 0 || !o.isEmpty,
  )
  console.log(`\n${report(ran)}`)
  return ran.length > 0 && isGood(ran) ? 0 : 1
}

try {
  process.exitCode = await main()
} catch (error) {
  if (error.code !== 'ERR_VM_INTERRUPTED') throw error
  console.error(error.message)
  process.exitCode = 130
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
