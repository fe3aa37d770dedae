/**
 * Builds the addon: build/ublk.node, or build/asan/ublk.node with --asan (AddressSanitizer and UBSan).
 *
 * No node-gyp, no dependencies: g++ (or $CXX) with the headers that npm installed. A file is compiled again when its text, a
 * header's, or the command has changed; when nothing has, this costs a few milliseconds.
 *
 * The sanitizer build is run so (npm run build:asan builds it):
 *   ZSLAB_ADDON=$PWD/build/asan/ublk.node LD_PRELOAD=$(g++ -print-file-name=libasan.so) \
 *     ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1 npx vitest run --project native
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const SOURCES = join(ROOT, 'ublk-native', 'src')
const PARALLEL = 2

const FLAGS = [
  '-std=c++20',
  '-O2',
  '-g1',
  '-fPIC',
  '-fno-exceptions',
  '-fvisibility=hidden',
  '-Wall',
  '-Wextra',
  '-Wconversion',
  '-Werror',
  '-DNAPI_DISABLE_CPP_EXCEPTIONS',
  '-DNAPI_VERSION=8',
  '-D_GNU_SOURCE',
]
const ASAN_FLAGS = ['-fsanitize=address,undefined', '-fno-omit-frame-pointer']

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit' })
    child.once('error', error => {
      const hint = error.code === 'ENOENT' ? ': install a C++ compiler (apt-get install g++)' : ''
      reject(new Error(`${command}: ${error.message}${hint}`))
    })
    child.once('exit', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`${command} failed (${signal ?? code})`))
    })
  })
}

/** Run tasks, a few at a time. */
async function inParallel(tasks) {
  const queue = [...tasks]
  const worker = async () => {
    for (let task = queue.shift(); task !== undefined; task = queue.shift()) await task()
  }
  await Promise.all(Array.from({ length: PARALLEL }, worker))
}

function hash(...parts) {
  const sum = createHash('sha256')
  for (const part of parts) sum.update(part).update('\0')
  return sum.digest('hex')
}

function readStamps(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return {}
  }
}

/** Build what has changed. Resolves to the addon's path; rejects when a compiler is missing or fails. */
export async function buildAddon({ asan = false } = {}) {
  const output = asan ? join(ROOT, 'build', 'asan') : join(ROOT, 'build')
  const objects = join(output, 'objects')
  mkdirSync(objects, { recursive: true })
  const compiler = process.env.CXX || 'g++'
  const includes = ['node-addon-api', 'node-api-headers/include'].flatMap(name => [
    '-isystem',
    join(ROOT, 'node_modules', name),
  ])
  const flags = [...FLAGS, ...(asan ? ASAN_FLAGS : []), ...includes]
  const files = readdirSync(SOURCES).sort()
  const headers = files.filter(name => name.endsWith('.h'))
  const headerText = hash(...headers.map(name => readFileSync(join(SOURCES, name))))
  const versions = ['node-addon-api', 'node-api-headers'].map(name =>
    readFileSync(join(ROOT, 'node_modules', name, 'package.json')),
  )
  const common = hash(compiler, flags.join(' '), headerText, ...versions)

  const stampPath = join(output, 'addon-stamps.json')
  const stamps = readStamps(stampPath)
  const fresh = {}
  const done = {}
  const compilations = []
  const linked = []
  for (const name of files.filter(file => file.endsWith('.cc'))) {
    const source = join(SOURCES, name)
    const object = join(objects, name.replace(/\.cc$/, '.o'))
    fresh[name] = hash(common, readFileSync(source))
    linked.push(object)
    if (stamps[name] === fresh[name] && existsSync(object)) continue
    delete stamps[name]
    compilations.push(async () => {
      await run(compiler, [...flags, '-c', source, '-o', object])
      done[name] = fresh[name]
    })
  }

  const addon = join(output, 'ublk.node')
  const unchanged = Object.keys(stamps).length === Object.keys(fresh).length
  if (compilations.length === 0 && unchanged && existsSync(addon)) return addon
  try {
    await inParallel(compilations)
  } finally {
    // What failed, and the addon itself, is still to be done: only a link makes the stamps complete.
    writeFileSync(stampPath, JSON.stringify({ ...stamps, ...done, linked: 'no' }))
  }
  const linkFlags = asan ? ASAN_FLAGS : []
  await run(compiler, [
    '-shared',
    ...linkFlags,
    '-o',
    addon,
    ...linked,
    '-luring',
    '-llz4',
    '-lzstd',
  ])
  writeFileSync(stampPath, JSON.stringify(fresh))
  return addon
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await buildAddon({ asan: process.argv.includes('--asan') })
  } catch (error) {
    console.error(`build-addon: ${error.message}`)
    process.exit(1)
  }
}
