/**
 * Snapshots and clones of images on a file system that shares blocks (btrfs on a loop device): no time, no space, and each goes its
 * own way. Copies elsewhere: test/native/image-damage.test.ts.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { json } from './command-line.js'
import { closeAll, create, FIO_PATTERN, must, needs, remove, zonedFio } from './harness.js'

const MIB = 1024 * 1024

afterAll(async () => expect(await closeAll()).toEqual([]))

async function onBtrfs(use: (disk: string) => Promise<void>): Promise<void> {
  const disk = mkdtempSync(join(tmpdir(), 'zslab-btrfs-'))
  try {
    await must('truncate', ['-s', '512M', `${disk}.img`])
    await must('mkfs.btrfs', ['-q', `${disk}.img`])
    await must('mount', ['-o', 'loop', `${disk}.img`, disk])
    try {
      await use(disk)
    } finally {
      await must('umount', [disk])
    }
  } finally {
    rmSync(`${disk}.img`, { force: true })
    rmSync(disk, { recursive: true })
  }
}

/** Bytes of the file system that are in use, when all is written. */
async function usedBytes(disk: string): Promise<number> {
  await must('sync', ['-f', disk])
  const [, used] = (await must('df', ['--output=used', '-B1', disk])).trim().split('\n')
  return Number(used)
}

it('share blocks where the file system can, and part from each other when one is written', async context => {
  needs(context, { filesystem: 'btrfs', program: 'mkfs.btrfs' })
  await onBtrfs(async disk => {
    const [drive, snapshot, clone] = ['drive', 'before', 'clone'].map(name => join(disk, name))
    const options = { zones: 16, zoneSize: 4 * MIB }
    const device = await create({ image: drive, ...options })
    const verified = ['--size=32M', ...FIO_PATTERN, '--rw=write']
    await zonedFio(device, ...verified, '--do_verify=0')
    await remove(device)
    const before = await usedBytes(disk)
    expect(await json('image', 'snapshot', drive!, snapshot!)).toMatchObject({ isShared: true })
    expect(await json('image', 'clone', snapshot!, clone!)).toMatchObject({ isShared: true })
    // Metadata, and no second 32 MiB.
    expect((await usedBytes(disk)) - before).toBeLessThan(4 * MIB)
    const changed = await create({ image: drive })
    await must('blkzone', ['reset', changed.path])
    await zonedFio(changed, '--size=32M', '--rw=write', '--bs=64k', '--buffer_pattern=0x5a')
    await remove(changed)
    const cloned = await create({ image: clone })
    await zonedFio(cloned, '--size=32M', ...FIO_PATTERN, '--rw=read', '--do_verify=1')
    await remove(cloned)
    expect(await json('image', 'check', snapshot!)).toMatchObject({ isWhole: true })
  })
})
