/** Workers that write parts of the same pages at the same time lose nothing, and the counters come out exact. */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { addonPath, openMedia, PAGE_BYTES } from '../../ublk-native/index.js'
import { compile } from '../fakes/compiled.js'
import { random } from './random.js'

const WORKERS = 2
const PAGES = 4096
const BYTES = PAGES * PAGE_BYTES
const ROUNDS = 30_000
const BLOCK = 512

test('two workers, blocks of 512 bytes in turn, at the same page at the same time', async () => {
  const native = compile(['ublk-native'])
  const directory = mkdtempSync(join(tmpdir(), 'zslab-race-'))
  const { seed } = random('media race')
  const options = { directory, bytes: BYTES, sameFill: true }
  openMedia({ ...options, create: true }).close()
  const gate = new Int32Array(new SharedArrayBuffer(4 * PAGES))
  const workers = Array.from({ length: WORKERS }, (_, index) => {
    const task = {
      url: native.url('ublk-native/index.js'),
      directory,
      bytes: BYTES,
      index,
      count: WORKERS,
      seed,
      gate,
    }
    return new Worker(new URL('./race-worker.mjs', import.meta.url), {
      workerData: { ...task, rounds: ROUNDS },
      env: { ...process.env, ZSLAB_ADDON: addonPath() },
    })
  })
  const models = await Promise.all(
    workers.map(async worker => ((await once(worker, 'message')) as [Uint8Array])[0]),
  )
  const expected = new Uint8Array(BYTES)
  for (const [index, model] of models.entries()) {
    for (let at = 0; at * BLOCK < model.length; at++) {
      const block = model.subarray(at * BLOCK, (at + 1) * BLOCK)
      expected.set(block, (at * WORKERS + index) * BLOCK)
    }
  }
  const media = openMedia({ ...options, create: false })
  const all = new Uint8Array(BYTES)
  expect(media.read(0, all)).toBe(BYTES)
  expect(
    all.findIndex((byte, i) => byte !== expected[i]),
    `seed ${seed}`,
  ).toBe(-1)
  const counted = media.stats()
  media.close()
  // Another owner: the next to open counts all pages again.
  const pages = readFileSync(join(directory, 'pages'))
  pages.writeBigInt64LE(1n, 40)
  writeFileSync(join(directory, 'pages'), pages)
  const again = openMedia({ ...options, create: false })
  expect(again.stats()).toEqual(counted)
  expect(counted.rawPages + counted.fillPages).toBeGreaterThan(0)
  again.close()
  native.remove()
  rmSync(directory, { recursive: true, force: true })
})
