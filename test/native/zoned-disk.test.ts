/** What is no zoned block device is refused by name before it is opened; ioctls on it are errors with their errno. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openZonedDisk } from '../../daemon/client.js'
import { rangeIoctl, readZones } from '../../ublk-native/index.js'

const folder = mkdtempSync(join(tmpdir(), 'zslab-disk-'))
const file = join(folder, 'file')
writeFileSync(file, 'not a disk')
afterAll(() => rmSync(folder, { recursive: true }))

test.each([
  [file, 'not a block device'],
  ['/dev/null', 'not a block device'],
  [join(folder, 'nothing'), 'ENOENT'],
])('%s', async (path, why) => {
  await expect(openZonedDisk(path)).rejects.toMatchObject({
    code: 'DAEMON_ERR_NOT_ZONED',
    message: expect.stringContaining(why),
  })
})

test('ioctls on a file', async () => {
  await expect(readZones(file, 0, 1)).rejects.toMatchObject({ code: 'ENOTTY' })
  for (const op of ['discard', 'write-zeroes'] as const)
    await expect(rangeIoctl(file, op, 0, 4096)).rejects.toMatchObject({ code: 'ENOTTY' })
})
