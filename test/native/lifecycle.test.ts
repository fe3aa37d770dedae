/**
 * How a thread that waits in commitAndFetch() ends: by a kick, by terminate(), by the exit of the process.
 *
 * Each scenario is a process of its own with real workers, on ublk-native compiled for them (Node 20 loads no TypeScript).
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addonPath } from '../../ublk-native/index.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CHILD = fileURLToPath(new URL('./lifecycle-child.mjs', import.meta.url))
const PATIENCE_MS = 20_000

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'zslab-native-'))
  const compilerOptions = {
    outDir: directory,
    rootDir: join(ROOT, 'ublk-native'),
    typeRoots: [join(ROOT, 'node_modules', '@types')],
    sourceMap: false,
    declaration: false,
  }
  const config = join(directory, 'tsconfig.json')
  const include = [join(ROOT, 'ublk-native')]
  const text = { extends: join(ROOT, 'tsconfig.json'), compilerOptions, include }
  writeFileSync(config, JSON.stringify(text))
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}')
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  // The sanitizer that may be preloaded into this process is not for the compiler.
  const { LD_PRELOAD: _, ...env } = process.env
  execFileSync(process.execPath, [compiler, '-p', config], { stdio: 'inherit', env })
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function run(scenario: string, timeout = PATIENCE_MS) {
  const url = pathToFileURL(join(directory, 'index.js')).href
  return spawnSync(process.execPath, [CHILD, url, scenario], {
    encoding: 'utf8',
    timeout,
    killSignal: 'SIGKILL',
    env: { ...process.env, ZSLAB_ADDON: addonPath() },
  })
}

describe('a parked worker', () => {
  test('ends with the process: exit kicks every registered queue', () => {
    const { status, signal, stderr } = run('exit')
    expect({ status, signal, stderr }).toEqual({ status: 7, signal: null, stderr: '' })
  })

  test('hangs process.exit() when it is not registered: what the kick is for', () => {
    const { status, signal, stdout } = run('exit-without-kick', 3000)
    expect(stdout).toBe('parked\n')
    expect({ status, signal }).toEqual({ status: null, signal: 'SIGKILL' })
  })

  test('leaves its loop when kicked, and a late kick is harmless', () => {
    const { status, stdout, stderr } = run('kick')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({ result: 0, rings: 0 })
  })

  test('can be terminated, and leaves no ring and no mapping', () => {
    const { status, stdout, stderr } = run('terminate')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({ held: 1, rings: 0, mappings: 0 })
  })

  test('again and again leaks no descriptor', () => {
    const { status, stdout, stderr } = run('repeat', 60_000)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({ leaked: 0, rings: 0 })
  })
})
