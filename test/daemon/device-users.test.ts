/** Who uses a device, from /proc and /sys as Linux writes them. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { deviceUser } from '../../daemon/device-users.js'

let root: string

function put(path: string, text = ''): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
}

function process(pid: string, namespace: string, mountinfo: string): void {
  put(`proc/${pid}/mountinfo`, mountinfo)
  mkdirSync(join(root, `proc/${pid}/ns`), { recursive: true })
  symlinkSync(`mnt:[${namespace}]`, join(root, `proc/${pid}/ns/mnt`))
}

const ROOT_FS = '25 30 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n'
/** A container gets the device node bound to its place: nobody uses it yet. */
const BOUND_NODE = '99 30 0:5 /ublkb0 /dev/ublkb0 rw - devtmpfs udev rw\n'
const user = () => deviceUser(0, join(root, 'proc'), join(root, 'sys'))

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'zslab-users-'))
  put('sys/block/ublkb0/dev', '259:3\n')
  mkdirSync(join(root, 'sys/block/ublkb0/holders'), { recursive: true })
  put('proc/swaps', 'Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 1 0 -2\n')
  process('self', '1', ROOT_FS + BOUND_NODE)
  process('1', '1', ROOT_FS)
})
afterEach(() => rmSync(root, { recursive: true }))

it('nobody', () => expect(user()).toBeNull())

it('a mount, whatever the name of the node that was mounted', () => {
  put('proc/self/mountinfo', `${ROOT_FS}40 25 259:3 / /mnt/z rw - zonefs /dev/other-name rw\n`)
  expect(user()).toBe('mounted on /mnt/z')
})

it('a file system with a device number of its own', () => {
  put('proc/self/mountinfo', `${ROOT_FS}40 25 0:51 / /mnt/b rw - btrfs /dev/ublkb0 rw,space\n`)
  expect(user()).toBe('mounted on /mnt/b')
})

it('the realtime device of an xfs', () => {
  const line = '40 25 8:2 / /mnt/x rw - xfs /dev/sda2 rw,rtdev=/dev/ublkb0,noquota\n'
  put('proc/self/mountinfo', ROOT_FS + line)
  expect(user()).toBe('mounted on /mnt/x')
})

it('a device with a number that begins alike is another', () => {
  const line = '40 25 259:31 / /mnt/y rw - f2fs /dev/ublkb01 rw\n'
  put('proc/self/mountinfo', ROOT_FS + line)
  expect(user()).toBeNull()
})

it('a mount in another namespace', () => {
  process('77', '2', '40 25 259:3 / /data rw - f2fs /dev/ublkb0 rw\n')
  expect(user()).toBe('mounted on /data in the mount namespace of process 77')
})

it('the second device of a btrfs', () => {
  mkdirSync(join(root, 'sys/fs/btrfs/features'), { recursive: true })
  put('sys/fs/btrfs/cafe-01/devices/sda3')
  put('sys/fs/btrfs/cafe-01/devices/ublkb0')
  expect(user()).toBe('a device of the mounted btrfs cafe-01')
})

it('a device mapper on top', () => {
  put('sys/block/ublkb0/holders/dm-0')
  put('sys/block/dm-0/dm/name', 'crypt\n')
  expect(user()).toBe('used by /dev/mapper/crypt (dm-0)')
})

it('a md array on top', () => {
  put('sys/block/ublkb0/holders/md127')
  expect(user()).toBe('used by /dev/md127')
})

it('swap', () => {
  put('proc/swaps', 'Filename\tType\n/dev/ublkb0                   partition\t1\n')
  expect(user()).toBe('swap space')
})

it('a loop device', () => {
  put('sys/block/loop3/loop/backing_file', '/dev/ublkb0\n')
  expect(user()).toBe('used by /dev/loop3')
})
