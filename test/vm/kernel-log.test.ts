/** Which lines of a kernel log are a kernel gone wrong: golden, both ways. */
import { describe, expect, it } from 'vitest'
import { kernelWarnings, logTail } from '../../vm/kernel-log.js'

const BAD = [
  '[   12.3] BUG: kernel NULL pointer dereference, address: 0000000000000008',
  '[   12.3] WARNING: CPU: 1 PID: 77 at block/blk-zoned.c:512 disk_zone_wplug_abort+0x1/0x2',
  '[   12.3] Oops: 0000 [#1] PREEMPT SMP NOPTI',
  '[   12.3] BUG: KASAN: slab-use-after-free in ublk_ch_release+0x1/0x2',
  '[   12.3] Oops: general protection fault, probably for non-canonical address 0xdead000000000122',
  '[  250.1] INFO: task fio:812 blocked for more than 120 seconds.',
  '[  100.0] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [node:99]',
  '[  100.0] rcu: INFO: rcu_preempt self-detected stall on CPU',
  '[  100.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:',
  '[   12.3] list_del corruption. prev->next should be ffff88, but was dead',
  '[   12.3] refcount_t: underflow; use-after-free.',
  '[   12.3] Kernel panic - not syncing: Fatal exception',
  '[   12.3] kernel BUG at drivers/block/ublk_drv.c:1!',
  '[   12.3] UBSAN: array-index-out-of-bounds in fs/f2fs/x.c:1:2',
  '[   12.3] node: page allocation failure: order:5, mode:0x40dc0',
  '[   12.3] Out of memory: Killed process 99 (node) total-vm:1kB',
]
const GOOD = [
  '[    0.0] Linux version 6.12.95+deb12-amd64',
  '[    0.4] Kernel command line: console=ttyS0 loglevel=6 panic=-1 watchdog_thresh=60',
  '[    5.0] ublk: module verification: debug',
  '[    6.0] I/O error, dev ublkb0, sector 128 op 0x1:(WRITE) flags 0x8800 phys_seg 1 prio class 2',
  '[    6.0] Buffer I/O error on dev ublkb0, logical block 16, lost async page write',
  '[    7.0] zonefs (ublkb0): Zone 3: Invalid write pointer',
  '[    8.0] debug: nothing here is a warning',
]

describe('kernelWarnings', () => {
  it.each(BAD)('sees %s', line => {
    expect(kernelWarnings(`${GOOD.join('\n')}\n${line}\r\n${GOOD.join('\n')}`)).toEqual([line])
  })
  it('is content with a healthy log', () => {
    expect(kernelWarnings(GOOD.join('\n'))).toEqual([])
  })
  it('says each line once, in order', () => {
    expect(kernelWarnings([BAD[1], BAD[0], BAD[1]].join('\n'))).toEqual([BAD[1], BAD[0]])
  })
})

describe('logTail', () => {
  it('is the last lines that are not blank', () => {
    expect(logTail('a\n\nb\r\nc\n\n', 2)).toBe('b\nc')
  })
})
