/**
 * The package as programs import it: few files, joined from what the compiler made (scripts/join.mjs), and the same thing as that.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import * as joined from 'zns-slab'
import * as joinedModel from 'zns-slab/zone-model'
import * as store from '../../store/index.js'
import * as model from '../../zone-model/index.js'

const files = new URL('../../dist/package/', import.meta.url)
const textOf = (name: string): string => readFileSync(new URL(name, files), 'latin1')
/** Of files that are loaded with this one. */
const importsOf = (name: string): string[] =>
  [...textOf(name).matchAll(/^import\s[^'"`]*["']([^"']+)["']/gm)].map(([, from]) => from!)

const folder = mkdtempSync(join(tmpdir(), 'zslab-package-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('the joined package exports what the folders do', () => {
  expect(Object.keys(joined).sort()).toEqual(Object.keys(store).sort())
  expect(Object.keys(joinedModel).sort()).toEqual(Object.keys(model).sort())
})

test('both doors of the package lead to one zone model', () => {
  expect(joined.Geometry).toBe(joinedModel.Geometry)
  expect(joined.ZoneModelError).toBe(joinedModel.ZoneModelError)
})

test('a store is few files without the addon, in ASCII, which V8 keeps in one byte a character', () => {
  const loaded = ['store.js']
  for (const name of loaded)
    for (const from of importsOf(name)) {
      const other = from.replace('./', '')
      if (from.startsWith('.') && !loaded.includes(other)) loaded.push(other)
    }
  expect(loaded.length).toBeLessThanOrEqual(4)
  expect(loaded.flatMap(importsOf)).not.toContain('node:module')
  for (const name of readdirSync(files))
    expect(/^[\n\t -~]*$/.test(textOf(name)), `${name} is ASCII`).toBe(true)
})

test('a drive in a directory and one in memory can be opened with it', async () => {
  for (const device of [join(folder, 'drive'), { memory: 16 * 1024 * 1024 }]) {
    const options = typeof device === 'string' ? { bytes: 16 * 1024 * 1024 } : {}
    await using opened = await joined.open({ device, deviceOptions: options })
    await opened.set('key', 'value', { ttl: 60_000 })
    expect((await opened.get('key'))?.toString()).toBe('value')
  }
})

test('a block device is opened by a part that is loaded then', async () => {
  const opening = joined.open({ device: '/dev/zslab-none' })
  await expect(opening).rejects.toMatchObject({ code: 'DEVICE_ERR_MISSING' })
  const part = (await import(new URL('part-block-drive.js', files).href)) as Record<string, unknown>
  expect(typeof part['openBlockDrive']).toBe('function')
})
