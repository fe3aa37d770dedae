/** `zslab image`: its words, and how it ends. What it finds is tested with images, in test/native/image.test.ts. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { formatInspection } from '../../cli/image.js'
import type { Inspection, ZoneInspection } from '../../image/index.js'
import { zslab } from './fake-daemon.js'

const folder = mkdtempSync(join(tmpdir(), 'zslab-cli-image-'))
afterAll(() => rmSync(folder, { recursive: true }))

const whole = (zone: number): ZoneInspection => ({
  zone,
  condition: 'closed',
  writePointerSectors: 64,
  pages: 8,
  lostZone: null,
  lost: [],
})

const damaged: Inspection = {
  directory: '/srv/drive',
  isSnapshot: false,
  isWhole: false,
  needsRepair: true,
  tier: null,
  isTierLost: false,
  damage: [{ file: '/srv/drive/map', offset: 8192, what: 'the checksum of block 0 is wrong' }],
  zones: [
    whole(0),
    whole(1),
    {
      ...whole(2),
      lost: [
        { offsetSectors: 8, countSectors: 16, why: 'a hole in `data`', isMarked: false },
        { offsetSectors: 32, countSectors: 8, why: 'does not expand', isMarked: false },
      ],
    },
    { ...whole(3), lostZone: 'its part of the zone table is damaged' },
    whole(4),
  ],
}

it('tells what is lost, zone by zone', () => {
  expect(formatInspection(damaged, false)).toBe(`\
/srv/drive/map: byte 8192: the checksum of block 0 is wrong
zones 0 to 1: whole
zone 2: closed, write pointer at sector 64, 8 pages
  LOST: 16 sectors from sector 8: a hole in \`data\`
  LOST: 8 sectors from sector 32: does not expand
zone 3: LOST, all of it: its part of the zone table is damaged
zone 4: whole
image /srv/drive is damaged
  next: zslab image repair /srv/drive
`)
  expect(formatInspection(damaged, true)).toContain(
    'is repaired: what is LOST above cannot be read',
  )
  const untiered = { ...damaged, tier: '/srv/cold', isTierLost: true }
  expect(formatInspection(untiered, true)).toContain(
    '\nit has no tier any more: /srv/cold is not used\n',
  )
  expect(formatInspection(untiered, false)).not.toContain('no tier')
})

it('says that an image is whole, and that a repaired one can be used', () => {
  const zones = [whole(0), whole(1), { ...whole(2), condition: 'offline' }]
  const found = { ...damaged, damage: [], zones, isWhole: true, needsRepair: false }
  expect(formatInspection(found, false)).toBe(
    'zones 0 to 1: whole\nzone 2: offline, 8 pages\nimage /srv/drive is whole\n',
  )
  expect(formatInspection({ ...found, isWhole: false }, false)).toContain('can be used')
})

it.each([['check'], ['repair']])('%s of a folder that holds no image fails', async verb => {
  const { code, out, err } = await zslab(['image', verb, folder, '--json'])
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(JSON.parse(err).error.code).toBe('IMAGE_ERR_MISSING')
})

it('a copy needs a target', async () => {
  const { code, err } = await zslab(['image', 'clone', folder])
  expect(code).toBe(2)
  expect(err).toContain('zslab image clone --help')
})
