/**
 * Kill -9 at every store. Each scenario runs once to count its steps (every Atomics operation that changes something, every
 * plain store into the table, every block copied, before and after each commit), then once for every step with a kill
 * there, and again with a second kill at every (or, in long scenarios, many a) step of the recovery and what follows.
 * In the end everything has been acknowledged, once, whole, without a hole.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type * as Model from '../../zone-model/index.js'
import { type Compiled, compile } from '../fakes/compiled.js'
import { CrashKernel, DEPTH, Fate, Killed } from './crash-kernel.js'
import { randomFrom, seedFromEnvironment } from './tables.js'

/** What compiled stores call before they store. */
declare global {
  var beforeStore: () => void
}

let compiled: Compiled
let model: typeof Model
let plainStores = 0
let atomicStores = 0

/** Puts a call before every store into the table. The shape of a store is one line; biome keeps it so. */
function instrument(file: string, source: string): string {
  if (!/^zone-model\/(zone-table|in-flight-log)\.js$/.test(file)) return source
  const plain = /^(\s*)((?:this\.)?words\[.*?\] = .*;)$/gm
  const inBranch = /^(\s*(?:else )?if \(.*\))$\n(\s*)((?:this\.)?words\[.*?\] = .*;)$/gm
  const atomic = /Atomics\.(store|compareExchange|sub|add)\(/g
  return source
    .replace(inBranch, '$1 { globalThis.beforeStore(); $3 }')
    .replace(plain, (_, indent: string, store: string) => {
      plainStores++
      return `${indent}globalThis.beforeStore(); ${store}`
    })
    .replace(atomic, (_, name: string) => {
      atomicStores++
      return `(globalThis.beforeStore(), Atomics).${name}(`
    })
}

beforeAll(async () => {
  globalThis.beforeStore = () => {}
  compiled = compile(['zone-model'], { transform: instrument })
  model = (await import(compiled.url('zone-model/index.js'))) as typeof Model
})
afterAll(() => compiled.remove())

const OPTIONS = {
  zoneCount: 4,
  zoneSizeBytes: 64 * 512,
  zoneCapacityBytes: 48 * 512,
  maxOpen: 2,
  maxAppendBytes: 48 * 512,
}

const SCENARIOS: Record<string, (kernel: CrashKernel) => void> = {
  'appends of one length to one zone': kernel => {
    for (let index = 0; index < 6; index++) kernel.submit('append', 0, 1)
  },
  'appends of several lengths': kernel => {
    for (const count of [1, 2, 1]) kernel.submit('append', 1, count)
    for (const count of [2, 1, 2]) kernel.submit('append', 2, count)
  },
  'writes that fill a zone': kernel => {
    for (const count of [1, 2, 1, 2]) kernel.submit('write', 0, count)
    for (const count of [3, 3]) kernel.submit('write', 1, count)
  },
  'writes and appends to more zones than may be open': kernel => {
    for (let zone = 0; zone < 4; zone++) kernel.submit(zone % 2 ? 'write' : 'append', zone, 2)
    for (let zone = 0; zone < 4; zone++) kernel.submit(zone % 2 ? 'write' : 'append', zone, 1)
  },
  'zone commands between writes': kernel => {
    kernel.submit('open', 0)
    kernel.submit('write', 0, 2)
    kernel.submit('append', 1, 2)
    kernel.submit('close', 0)
    kernel.submit('reset', 1)
    kernel.submit('write', 0, 1)
    kernel.submit('append', 1, 2)
    kernel.submit('append', 1, 2)
    kernel.submit('finish', 0)
    kernel.submit('reset', 0)
    kernel.submit('write', 0, 1)
  },
}

/** In scenarios with more pairs of kills than this, the second kill strides, from another start for each first one. */
const PAIRS_WANTED = 4000

interface Outcome {
  faults: string[]
  /** Steps of each life of the daemon. */
  steps: number[]
  merges: number
}

/** Runs a scenario; the n-th daemon is killed at its step kills[n]. */
function live(scenario: (kernel: CrashKernel) => void, seed: number, kills: number[]): Outcome {
  const geometry = model.Geometry.create(OPTIONS)
  const words = new Int32Array(model.ZoneTable.wordsNeeded(geometry, 1, DEPTH))
  model.ZoneTable.format(words, geometry, 1, DEPTH)
  const kernel = new CrashKernel(model, words, geometry, randomFrom(seed))
  scenario(kernel)
  const steps: number[] = []
  for (let life = 0; ; life++) {
    const fate = new Fate(kills[life] ?? 0)
    kernel.fate = fate
    globalThis.beforeStore = () => fate.step()
    try {
      const table = kernel.attach(life > 0)
      while (!kernel.isIdle) kernel.turn(table)
      steps.push(fate.steps)
      return { faults: kernel.faults(table), steps, merges: kernel.merges }
    } catch (error) {
      steps.push(fate.steps)
      if (!(error instanceof Killed))
        return { faults: [String(error)], steps, merges: kernel.merges }
    } finally {
      globalThis.beforeStore = () => {}
    }
  }
}

function check(name: string, seed: number, kills: number[]): Outcome {
  const outcome = live(SCENARIOS[name]!, seed, kills)
  if (outcome.faults.length > 0) {
    expect.fail(
      `${name}, SEED=${seed}, kills ${JSON.stringify(kills)}: ${outcome.faults.join('; ')}`,
    )
  }
  return outcome
}

test('every store of the table is a step', () => {
  // When a store is written in a form that the instrumentation does not know, this must be mended.
  expect(plainStores).toBeGreaterThanOrEqual(20)
  expect(atomicStores).toBeGreaterThanOrEqual(20)
})

test.each(Object.keys(SCENARIOS))('kills at every step: %s', name => {
  const seed = seedFromEnvironment(name)
  let lives = 0
  let merges = 0
  for (let variant = 0; variant < 3; variant++) {
    const { steps } = check(name, seed + variant, [])
    for (let kill = 1; kill <= steps[0]!; kill++) {
      const once = check(name, seed + variant, [kill])
      expect(once.steps[0]).toBe(kill)
      merges += once.merges
      const last = once.steps[1]!
      const stride = Math.ceil((steps[0]! * last) / PAIRS_WANTED) + variant * 3
      for (let second = 1 + (kill % stride); second <= last; second += stride) {
        const twice = check(name, seed + variant, [kill, second])
        const third = 1 + ((kill * 7 + second * 13) % twice.steps[2]!)
        check(name, seed + variant, [kill, second, third])
        lives += 2
      }
      lives++
    }
  }
  console.log(`${name}: ${lives} runs with kills, ${merges} merges`)
  expect(lives).toBeGreaterThan(3000)
})
