/**
 * What the package exports as zone-model is that and nothing more: no addon, no Node, any platform.
 */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type * as Model from '../../zone-model/index.js'
import { compile } from '../fakes/compiled.js'

test('zns-slab/zone-model exports an emulated drive that needs nothing but JavaScript', async () => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const entry = JSON.parse(text).exports['./zone-model']
  expect(entry).toEqual({
    types: './dist/zone-model/index.d.ts',
    default: './dist/package/zone-model.js',
  })
  const imported = new Set<string>()
  // Compiled without the types of Node: a global of Node's would not compile.
  const transform = (_: string, source: string) => {
    for (const [, from] of source.matchAll(/(?:from|import)\s*\(?['"]([^'"]+)['"]/g))
      imported.add(from!)
    return source
  }
  const compiled = compile(['zone-model'], { transform, types: [] })
  try {
    expect([...imported].filter(from => !/^\.\/[a-z-]+\.js$/.test(from))).toEqual([])
    expect(imported).toContain('./zone-table.js')
    const { createEmulatedDrive } = (await import(
      compiled.url('zone-model/index.js')
    )) as typeof Model
    const drive = createEmulatedDrive({ zoneCount: 4, zoneSizeBytes: 1024 * 1024 })
    expect(await drive.append(2, new Uint8Array(4096).fill(7))).toBe(2 * 2048)
    const back = new Uint8Array(4096)
    await drive.read(2 * 2048, back)
    expect(back.every(byte => byte === 7)).toBe(true)
  } finally {
    compiled.remove()
  }
})
