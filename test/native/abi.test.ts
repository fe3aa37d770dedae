/** The bytes of control commands, against offsets written down from the kernel's header by hand; kernels; errors. */
import { describe, expect, test } from 'vitest'
import { plugsZoneWrites } from '../../ublk-native/control.js'
import {
  check,
  decodeDeviceInfo,
  encodeDeviceInfo,
  encodeParams,
  errnoName,
  featuresToRequest,
  missingFeatures,
  refusedKernel,
  UblkError,
} from '../../ublk-native/index.js'
import * as layout from '../../ublk-native/layout.js'

const PARAMS = {
  blockShift: 12,
  physicalBlockShift: 12,
  maxSectors: 2048,
  chunkSectors: 131072,
  totalSectors: 0x1_0000_0800,
  maxOpen: 14,
  maxActive: 15,
  maxAppendSectors: 256,
  discard: { granularityBytes: 4096, maxDiscardSectors: 77, maxWriteZeroesSectors: 78 },
  volatileCache: true,
  fua: true,
}

describe('struct ublk_params', () => {
  test('has every field where the kernel reads it', () => {
    const bytes = encodeParams(PARAMS)
    const view = new DataView(bytes.buffer)
    const u32 = (at: number) => view.getUint32(at, true)
    expect(bytes.length).toBe(152)
    expect([u32(0), u32(4), u32(8)]).toEqual([152, 1 | 2 | 8, 4 | 8])
    expect([...bytes.subarray(12, 16)]).toEqual([12, 12, 12, 12])
    expect([u32(16), u32(20)]).toEqual([2048, 131072])
    expect(view.getBigUint64(24, true)).toBe(0x1_0000_0800n)
    expect([u32(44), u32(48), u32(52), view.getUint16(56, true)]).toEqual([4096, 77, 78, 1])
    expect([u32(76), u32(80), u32(84)]).toEqual([14, 15, 256])
    expect(bytes.subarray(88).every(byte => byte === 0)).toBe(true)
  })

  test('without discard has neither its type nor its fields', () => {
    const { discard: _, ...rest } = PARAMS
    const bytes = encodeParams({ ...rest, volatileCache: false, fua: false })
    const view = new DataView(bytes.buffer)
    expect(view.getUint32(4, true)).toBe(1 | 8)
    expect(view.getUint32(8, true)).toBe(0)
    expect(bytes.subarray(40, 60).every(byte => byte === 0)).toBe(true)
  })
})

test('struct ublksrv_ctrl_dev_info goes out and comes back', () => {
  const flags = 2 ** 40 + 0x198
  const bytes = encodeDeviceInfo({ id: -1, queueCount: 2, depth: 128, maxIoBytes: 1 << 20, flags })
  const view = new DataView(bytes.buffer)
  expect(view.getInt32(12, true)).toBe(-1)
  view.setInt32(12, 7, true)
  view.setUint16(4, 2, true)
  view.setInt32(16, 4321, true)
  expect(decodeDeviceInfo(bytes)).toEqual({
    id: 7,
    queueCount: 2,
    depth: 128,
    state: 2,
    maxIoBytes: 1 << 20,
    flags,
    pid: 4321,
  })
})

test('control commands are ioctl codes of the header: direction, size, type u, number', () => {
  const code = (direction: number, number: number) =>
    direction * 2 ** 30 + 32 * 2 ** 16 + 'u'.charCodeAt(0) * 256 + number
  const [READ, READ_WRITE] = [2, 3]
  expect(layout).toMatchObject({
    UBLK_U_CMD_GET_DEV_INFO: code(READ, 0x02),
    UBLK_U_CMD_ADD_DEV: code(READ_WRITE, 0x04),
    UBLK_U_CMD_DEL_DEV: code(READ_WRITE, 0x05),
    UBLK_U_CMD_START_DEV: code(READ_WRITE, 0x06),
    UBLK_U_CMD_STOP_DEV: code(READ_WRITE, 0x07),
    UBLK_U_CMD_SET_PARAMS: code(READ_WRITE, 0x08),
    UBLK_U_CMD_START_USER_RECOVERY: code(READ_WRITE, 0x10),
    UBLK_U_CMD_END_USER_RECOVERY: code(READ_WRITE, 0x11),
    UBLK_U_CMD_GET_FEATURES: code(READ, 0x13),
    UBLK_U_CMD_DEL_DEV_ASYNC: code(READ, 0x14),
    UBLK_U_CMD_QUIESCE_DEV: code(READ_WRITE, 0x16),
  })
})

test.each([
  ['6.9.12', false],
  ['6.10.0', true],
  ['6.12.95+deb12-amd64', true],
  ['7.2.13', true],
  ['5.19.0', false],
  ['something', false],
])('%s keeps zone writes in order without a scheduler: %s', (release, expected) => {
  expect(plugsZoneWrites(release)).toBe(expected)
})

test.each([
  '6.18.4',
  '6.18.5',
  '6.18.5+deb14-amd64',
  '6.17.0-1015-azure',
  '6.17.0-1018-azure',
  '6.17.0-1017-aws',
])('%s is refused: it crashes', release => {
  expect(refusedKernel(release)).toMatch(/known to crash.*another kernel/)
})

test.each(['5.15.0', '6.1.0-18-amd64', '6.5.9'])('%s is refused: too old', release => {
  expect(refusedKernel(release)).toMatch(/Linux 6\.6 or newer/)
})

test.each([
  '6.6.0',
  '6.12.107+deb12-amd64',
  '6.18.3',
  '6.18.6',
  '6.18.44-fc-v595',
  '6.18.50',
  '6.17.0-1016-azure',
  '6.17.0-1017-azure',
  '7.2.12',
  '10.0.1',
  'something',
])('%s is not refused', release => {
  expect(refusedKernel(release)).toBeNull()
})

test('features: recovery adds its two, and what a kernel lacks is named', () => {
  expect(featuresToRequest({ recovery: false })).toBe(0x1c0)
  expect(featuresToRequest({ recovery: true })).toBe(0x1d8)
  expect(missingFeatures(0x1fe)).toEqual([])
  expect(missingFeatures(0x0fe)).toEqual([expect.stringContaining('UBLK_F_ZONED')])
  expect(missingFeatures(0)).toHaveLength(3)
})

test('errors have names, also those that Node does not know', () => {
  expect(errnoName(-16)).toBe('EBUSY')
  expect(errnoName(-109)).toBe('ETOOMANYREFS')
  expect(errnoName(75)).toBe('EOVERFLOW')
  expect(errnoName(-11)).toBe('EAGAIN')
  expect(errnoName(-95)).toBe('EOPNOTSUPP')
  expect(errnoName(-4000)).toBe('E4000')
  expect(check('open', 3)).toBe(3)
  const error = new UblkError('open', -13, '/dev/x')
  expect(() => check('open', -13, '/dev/x')).toThrow(error)
  expect([error.code, error.errno, error.syscall]).toEqual(['EACCES', -13, 'open'])
  expect(error.message).toBe('open failed: EACCES (/dev/x)')
})
