/**
 * How a thread that waits in commitAndFetch() ends: by a kick, by terminate(), by the exit of the process.
 *
 * Each scenario is a process of its own with real workers, on ublk-native compiled for them (Node 20 loads no TypeScript).
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addonPath } from '../../ublk-native/index.js'
import { type Compiled, compile } from '../fakes/compiled.js'

const CHILD = fileURLToPath(new URL('./lifecycle-child.mjs', import.meta.url))
const PATIENCE_MS = 20_000

let native: Compiled
beforeAll(() => {
  native = compile(['ublk-native'])
})
afterAll(() => native.remove())

function run(scenario: string, timeout = PATIENCE_MS) {
  return spawnSync(process.execPath, [CHILD, native.url('ublk-native/index.js'), scenario], {
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
