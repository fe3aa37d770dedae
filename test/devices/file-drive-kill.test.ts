/**
 * A process that works on a drive in a directory is killed, again and again: opened after it, the drive has what was promised
 * (flushes, resets), in whole blocks, and nothing that was never written.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeFileDrive, openFileDrive } from '../../devices/index.js'
import type { ZonedDevice } from '../../zone-model/index.js'
import { type Compiled, compile } from '../fakes/compiled.js'
import { randomFrom, seedFromEnvironment } from '../zone-model/tables.js'

const CHILD = fileURLToPath(new URL('file-drive-kill-child.mjs', import.meta.url))
const BLOCK = 4096
const ZONES = 8
const CAPACITY = 64
const KILLS = 8
const root = mkdtempSync(join(tmpdir(), 'zslab-kill-'))
let compiled: Compiled

beforeAll(() => {
  compiled = compile(['devices'])
})
afterAll(() => {
  compiled.remove()
  rmSync(root, { recursive: true })
})

/** Lines of a child that was killed after it had said so many. */
function liveUntil(directory: string, seed: number, lines: number): Promise<string[]> {
  const module = compiled.url('devices/index.js')
  const child = spawn(process.execPath, [CHILD, module, directory, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', chunk => {
    text += chunk
    if (text.split('\n').length > lines) child.kill('SIGKILL')
  })
  return new Promise(resolve => {
    child.on('close', (code, signal) => {
      expect([code, signal]).toEqual([null, 'SIGKILL'])
      // The last one may be cut.
      resolve(text.split('\n').slice(0, -1))
    })
  })
}

interface Known {
  /** Lives and blocks that are safe, and the most that was begun. */
  safe: [number, number]
  begun: [number, number]
}

function knownOf(lines: readonly string[]): Known[] {
  const known: Known[] = Array.from({ length: ZONES }, () => ({ safe: [0, 0], begun: [0, 0] }))
  for (const line of lines) {
    const [word, zone, life, blocks] = line.split(' ')
    if (word === 'safe') known[Number(zone)]!.safe = [Number(life), Number(blocks)]
    if (word === 'began') known[Number(zone)]!.begun = [Number(life), Number(blocks)]
  }
  return known
}

async function judgeZone(device: ZonedDevice, zone: number, { safe, begun }: Known) {
  const [{ startSector, wpSector, condition } = { startSector: 0, wpSector: 0, condition: '' }] =
    await device.report({ firstZone: zone, zoneCount: 1 })
  const blocks = condition === 'full' ? CAPACITY : (wpSector - startSector) / 8
  const bytes = new Uint8Array(CAPACITY * BLOCK)
  await device.read(startSector, bytes)
  const words = new Uint32Array(bytes.buffer)
  const life = blocks === 0 ? begun[0] : Math.floor((words[0]! % 1e8) / 1e3)
  expect(life).toBeGreaterThanOrEqual(safe[0])
  expect(life).toBeLessThanOrEqual(begun[0])
  if (life === safe[0]) expect(blocks).toBeGreaterThanOrEqual(safe[1])
  if (life === begun[0]) expect(blocks).toBeLessThanOrEqual(begun[1])
  const wanted = words.map((_, at) =>
    at >> 10 < blocks ? zone * 1e8 + life * 1e3 + (at >> 10) : 0,
  )
  expect(Buffer.compare(bytes, new Uint8Array(wanted.buffer))).toBe(0)
}

test('a drive whose process is killed', { timeout: 120_000 }, async () => {
  const random = randomFrom(seedFromEnvironment('kills'))
  let safe = 0
  for (let kill = 0; kill < KILLS; kill++) {
    const directory = join(root, String(kill))
    await makeFileDrive(directory, {
      zoneCount: ZONES,
      zoneSizeBytes: CAPACITY * BLOCK,
    })
    const lines = await liveUntil(directory, random(2 ** 31), 20 + random(400))
    const drive = await openFileDrive(directory)
    const known = knownOf(lines)
    for (const [zone, one] of known.entries()) {
      await judgeZone(drive, zone, one)
      safe += one.safe[1]
    }
    await drive.dispose()
  }
  expect(safe).toBeGreaterThan(0)
})
