/**
 * Reads by io_uring: the right bytes, at any depth, out of order; errors; the end of a ring, of a worker, of a process.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, expect, test } from 'vitest'
import { FileRing, UblkError } from '../../ublk-native/index.js'
import { randomFrom, seedFromEnvironment } from '../zone-model/tables.js'

const BLOCK = 4096
const BLOCKS = 1000
const folder = mkdtempSync(join(tmpdir(), 'zslab-ring-'))
const path = join(folder, 'file')
const words = Uint32Array.from({ length: (BLOCKS * BLOCK) / 4 }, (_, index) => index * 7)
writeFileSync(path, new Uint8Array(words.buffer))
const fd = openSync(path, 'r')
afterAll(() => {
  closeSync(fd)
  rmSync(folder, { recursive: true })
})

test('many more than the depth, each with its own bytes', async () => {
  const random = randomFrom(seedFromEnvironment('reads'))
  for (const depth of [1, 3, 64]) {
    const ring = FileRing.open(fd, depth)
    const reads = Array.from({ length: 500 }, async () => {
      const first = random(BLOCKS)
      const target = new Uint8Array(BLOCK * (1 + random(Math.min(8, BLOCKS - first))))
      expect(await ring.read(target, first * BLOCK)).toBe(target.length)
      const wanted = new Uint8Array(words.buffer, first * BLOCK, target.length)
      expect(Buffer.compare(target, wanted)).toBe(0)
    })
    await Promise.all(reads)
    // And one after the other, each begun when the last one has ended.
    for (let block = 0; block < 20; block++) {
      const target = new Uint8Array(4)
      await ring.read(target, block * BLOCK)
      expect(new Uint32Array(target.buffer)[0]).toBe((block * BLOCK * 7) / 4)
    }
    ring.close()
  }
})

test('at the end of the file, and of the descriptor', async () => {
  const ring = FileRing.open(fd, 4)
  expect(await ring.read(new Uint8Array(2 * BLOCK), (BLOCKS - 1) * BLOCK)).toBe(BLOCK)
  expect(await ring.read(new Uint8Array(BLOCK), BLOCKS * BLOCK)).toBe(0)
  ring.close()
  ring.close()
  const late = ring.read(new Uint8Array(BLOCK), 0)
  await expect(late).rejects.toMatchObject({ code: 'EBADF' })
  const bad = FileRing.open(999_999, 4)
  await expect(bad.read(new Uint8Array(BLOCK), 0)).rejects.toBeInstanceOf(UblkError)
  await expect(bad.read(new Uint8Array(BLOCK), 0)).rejects.toMatchObject({ code: 'EBADF' })
  bad.close()
  expect(() => FileRing.open(fd, 0)).toThrow(TypeError)
})

test('closed in the middle: what was under way is waited for', async () => {
  const ring = FileRing.open(fd, 32)
  const targets = Array.from({ length: 32 }, () => new Uint8Array(BLOCK))
  for (const [index, target] of targets.entries()) void ring.read(target, index * BLOCK)
  ring.close()
  for (const [index, target] of targets.entries()) {
    expect(new Uint32Array(target.buffer)[1]).toBe(((index * BLOCK) / 4 + 1) * 7)
  }
})

const DIST = new URL('../../dist/ublk-native/index.js', import.meta.url).href
const USE = `
const { FileRing } = await import('${DIST}')
const { openSync } = await import('node:fs')
const ring = FileRing.open(openSync('${path}', 'r'), 8)
const reads = Array.from({ length: 100 }, (_, i) => ring.read(new Uint8Array(4096), i * 4096))
`

test('a process ends when nothing is under way, and what was is done', () => {
  const script = `${USE}Promise.all(reads).then(all => console.log(all.reduce((a, b) => a + b)))`
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 30_000,
    encoding: 'utf8',
  })
  expect(out).toBe(`${100 * BLOCK}\n`)
})

test('a worker that is ended with reads under way', async () => {
  const script = `import { parentPort } from 'node:worker_threads'\n${USE}
    parentPort.postMessage('ready')
    for (;;) await ring.read(new Uint8Array(4096), 0)`
  for (let again = 0; again < 5; again++) {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`))
    await new Promise(resolve => worker.once('message', resolve))
    await worker.terminate()
  }
})
