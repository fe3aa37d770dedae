/**
 * A store in a directory of its own for each test, and verbs run on it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import type { Io } from '../../cli/io.js'
import { type Ran, zslab } from './fake-daemon.js'

/** Nobody presses Ctrl-C. */
export const NEVER: Partial<Io> = {
  interruption: () => ({ done: new Promise(() => {}), cancel: () => {} }),
}

/** Of the test that runs. */
export const here = { folder: '', target: '' }

/** To be called once in a test file. */
export function useStore(): void {
  beforeEach(() => {
    here.folder = mkdtempSync(join(tmpdir(), 'zslab-store-'))
    here.target = join(here.folder, 'store')
  })
  afterEach(() => rmSync(here.folder, { recursive: true }))
}

export const store = (verb: string, ...words: string[]): Promise<Ran> =>
  zslab(['store', verb, here.target, ...words], NEVER)

/** What a verb prints with --json. It must succeed. */
export async function json<T>(verb: string, ...words: string[]): Promise<T> {
  const { code, out, err } = await store(verb, ...words, '--json')
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out.trimEnd()).not.toContain('\n')
  return JSON.parse(out) as T
}

/** A store with one object. */
export const make = (): Promise<Ran> =>
  store('set', 'first', 'value', '--bytes', '8M', '--zone-size', '1M')

/** mulberry32: the same numbers for the same seed. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let mix = Math.imul(state ^ (state >>> 15), 1 | state)
    mix = (mix + Math.imul(mix ^ (mix >>> 7), 61 | mix)) ^ mix
    return ((mix ^ (mix >>> 14)) >>> 0) % below
  }
}
