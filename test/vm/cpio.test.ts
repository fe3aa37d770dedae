/** The cpio writer, read back by somebody else's reader: busybox. */
import { execFileSync } from 'node:child_process'
import {
  lstatSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type CpioEntry, cpioArchive } from '../../vm/cpio.js'
import { findProgram } from '../../vm/requirements.js'

const reader = findProgram('busybox') ?? findProgram('cpio')
const ENTRIES: readonly CpioEntry[] = [
  { path: 'bin', kind: 'directory' },
  // Every remainder of 4 in name and data, and an empty file: padding is where such writers go wrong.
  ...[0, 1, 2, 3, 4, 5, 4095].map(
    (bytes): CpioEntry => ({
      path: `bin/${'x'.repeat((bytes % 5) + 1)}-${bytes}`,
      kind: 'file',
      mode: bytes === 3 ? 0o755 : 0o644,
      data: Buffer.alloc(bytes, bytes + 1),
    }),
  ),
  { path: 'link', kind: 'symlink', target: 'bin/xxxx-3' },
]

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zslab-cpio-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('cpioArchive', () => {
  it('begins every entry with the newc magic, aligned to 4', () => {
    const archive = cpioArchive([
      { path: 'a', kind: 'file', mode: 0o600, data: Buffer.from('hello') },
    ])
    expect(archive.toString('latin1', 0, 6)).toBe('070701')
    expect(archive.toString('latin1', 14, 22)).toBe('00008180')
    expect(archive.toString('latin1', 54, 62)).toBe('00000005')
    expect(archive.toString('latin1', 110, 117)).toBe('a\0hello')
    expect(archive.toString('latin1', 120, 126)).toBe('070701')
    expect(archive.length % 4).toBe(0)
    expect(archive.includes('TRAILER!!!\0')).toBe(true)
  })

  it.runIf(reader !== undefined)('is what another program unpacks, byte for byte', () => {
    writeFileSync(join(folder, 'archive'), cpioArchive(ENTRIES))
    const words = reader!.endsWith('busybox') ? [reader!, 'cpio'] : [reader!]
    const script = `cd "$1" && ${words.join(' ')} -id < archive`
    execFileSync('sh', ['-c', script, 'sh', folder], { stdio: 'pipe' })
    for (const entry of ENTRIES) {
      const path = join(folder, entry.path)
      if (entry.kind === 'directory') expect(statSync(path).isDirectory()).toBe(true)
      if (entry.kind === 'symlink') expect(readlinkSync(path)).toBe(entry.target)
      if (entry.kind !== 'file') continue
      expect(readFileSync(path).equals(entry.data)).toBe(true)
      expect(lstatSync(path).mode & 0o777).toBe(entry.mode)
    }
  })
})
