/** The option table: what is accepted, and that what is refused says what would be accepted. */
import { describe, expect, it } from 'vitest'
import {
  DEVICE_OPTIONS,
  formatBytes,
  optionRange,
  PROFILES,
  parseBytes,
  resolveOptions,
} from '../../daemon/options.js'

describe('sizes', () => {
  it.each([
    ['4096', 4096],
    ['64M', 64 << 20],
    ['64MiB', 64 << 20],
    ['1.5k', 1536],
    ['2g', 2 ** 31],
  ])('%s is %d bytes', (text, bytes) => expect(parseBytes(text)).toBe(bytes))

  it.each(['', 'M', '64X', '-1', '1e3', '0x10'])('%j is no size', text =>
    expect(parseBytes(text)).toBeNaN())

  it.each([
    [64 << 20, '64M'],
    [4096, '4K'],
    [1077 << 20, '1077M'],
    [1000, '1000'],
    [0, '0'],
  ])('%d is written %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text))

  it('what is written is read back', () => {
    for (const bytes of [1, 511, 512, 4096, 1 << 20, 3 << 20, 2 ** 31, 2 ** 40]) {
      expect(parseBytes(formatBytes(bytes))).toBe(bytes)
    }
  })
})

describe('resolveOptions', () => {
  it('gives every option a value', () => {
    const options = resolveOptions({}) as unknown as Record<string, unknown>
    expect(Object.keys(options).sort()).toEqual(DEVICE_OPTIONS.map(spec => spec.key).sort())
    expect(options).toMatchObject({
      zones: 64,
      zoneSize: 64 << 20,
      maxOpen: 14,
      queues: 1,
      depth: 128,
    })
  })

  it('takes strings as a command line gives them', () => {
    expect(resolveOptions({ zones: '16', zoneSize: '4M', sameFill: false })).toMatchObject({
      zones: 16,
      zoneSize: 4 << 20,
      sameFill: false,
    })
  })

  it('a profile sets what is not given', () => {
    const options = resolveOptions({ profile: 'zn540', zones: 8 })
    expect(options).toMatchObject({ ...PROFILES['zn540']!.options, zones: 8, profile: 'zn540' })
  })

  const numbers = DEVICE_OPTIONS.filter(spec => spec.type === 'integer' || spec.type === 'bytes')

  it.each(
    numbers,
  )('--$flag: the borders are allowed, what is beyond them is refused with the range', spec => {
    expect(() => resolveOptions({ [spec.key]: spec.min })).not.toThrow()
    expect(() => resolveOptions({ [spec.key]: spec.max })).not.toThrow()
    for (const value of [spec.min! - 1, spec.max! + 1, 1.5, 'many', '', {}, true]) {
      let thrown: unknown
      try {
        resolveOptions({ [spec.key]: value })
      } catch (error) {
        thrown = error
      }
      expect(thrown, `${spec.flag} ${String(value)}`).toMatchObject({ code: 'DAEMON_ERR_OPTION' })
      expect((thrown as Error).message).toContain(`--${spec.flag}`)
      expect((thrown as Error).message).toContain(optionRange(spec))
    }
  })

  it('names the options there are when one is unknown', () => {
    expect(() => resolveOptions({ zone: 4 })).toThrow(/unknown option zone: .*zones.*zone-size/)
  })

  it('refuses an unknown profile and names those there are', () => {
    expect(() => resolveOptions({ profile: 'zn999' })).toThrow(/one of default, zn540/)
  })
})
