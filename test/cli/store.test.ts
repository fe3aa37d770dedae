/**
 * `zslab store` on a directory: every verb, what it refuses, an interrupted fill.
 */
import { randomInt } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { openDevice } from '../../devices/index.js'
import { zslab } from './fake-daemon.js'
import { here, json, make, NEVER, randomOf, store, useStore } from './store-directory.js'

const PAGE_BYTES = 4096

useStore()

describe('objects', () => {
  it('come back as they were written, raw and as JSON', async () => {
    expect(await make()).toMatchObject({
      code: 0,
      out: 'first: 5 bytes, no time to live\n',
      err: '',
    })
    expect(await store('get', 'first')).toMatchObject({ code: 0, out: 'value', err: '' })
    const bytes = Uint8Array.from({ length: 256 }, (_, at) => at)
    const set = await zslab(['store', 'set', here.target, 'raw', '-', '--ttl', '90s'], {
      input: () => Promise.resolve(bytes),
    })
    expect(set).toMatchObject({ code: 0, out: 'raw: 256 bytes, gone in 1m 30s\n' })
    expect((await store('get', 'raw')).out).toBe(Buffer.from(bytes).toString('latin1'))
    const found = await json<Record<string, unknown>>('get', 'raw')
    expect(found).toMatchObject({ key: 'raw', bytes: 256 })
    expect(Buffer.from(found['valueBase64'] as string, 'base64')).toEqual(Buffer.from(bytes))
    expect(found['ttlMs']).toBeGreaterThan(60_000)
    expect(found['ttlMs']).toBeLessThanOrEqual(90_000)
    expect(await json('get', 'first')).toMatchObject({ key: 'first', value: 'value', ttlMs: null })
  })

  it('that are not there: exit code 1 and a word on stderr', async () => {
    await make()
    const gone = { code: 1, out: '', err: 'zslab: nobody: no such key\n' }
    expect(await store('get', 'nobody')).toMatchObject(gone)
    expect(await store('ttl', 'nobody')).toMatchObject(gone)
    const { code, out, err } = await store('get', 'nobody', '--json')
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(JSON.parse(err)).toEqual({
      error: { code: 'CLI_ERR_NO_KEY', message: 'nobody: no such key' },
    })
    expect(await json('del', 'nobody', 'first')).toEqual({ asked: 2, deleted: 1 })
    expect((await store('del', 'first')).out).toBe('0 of 1 deleted, the rest was not there\n')
  })

  it('have a time to live, or none', async () => {
    await make()
    await store('set', 'short', 'x', '--ttl', '5m')
    expect((await store('ttl', 'first')).out).toBe('no time to live\n')
    expect((await store('ttl', 'short')).out).toMatch(/^(?:5m|4m \d+s)\n$/)
    expect(await json('ttl', 'first')).toEqual({ key: 'first', ttlMs: null })
  })

  it('are those of a Map after a random life of commands', async () => {
    const seed = randomInt(2 ** 31)
    const random = randomOf(seed)
    const model = new Map<string, string>()
    await make()
    model.set('first', 'value')
    for (let step = 0; step < 60; step++) {
      const key = `key ${random(12)}`
      const what = random(3)
      if (what === 0) {
        const value = 'ä'.repeat(random(3) === 0 ? 5000 : random(40))
        model.set(key, value)
        expect((await store('set', key, value)).code, `seed ${seed}`).toBe(0)
      } else if (what === 1) {
        expect(await json('del', key), `seed ${seed}`).toEqual({
          asked: 1,
          deleted: Number(model.delete(key)),
        })
      } else {
        const { code, out } = await store('get', key)
        const value = code === 0 ? Buffer.from(out, 'latin1').toString('utf8') : undefined
        expect(value, `seed ${seed}, step ${step}`).toBe(model.get(key))
      }
    }
    const listed = new Map<string, string>()
    let cursor: string | null = null
    do {
      const page: { objects: { key: string; value: string }[]; cursor: string | null } = await json(
        ...(['scan', '--count', '3', '--values'] as const),
        ...(cursor === null ? [] : ['--cursor', cursor]),
      )
      for (const { key, value } of page.objects) listed.set(key, value)
      cursor = page.cursor
    } while (cursor !== null)
    expect(listed, `seed ${seed}`).toEqual(model)
    expect((await json<{ live: number }>('check')).live, `seed ${seed}`).toBe(model.size)
  })

  it('are listed as a table that a terminal can show', async () => {
    await make()
    await store('set', 'tab\there', 'two\nlines', '--ttl', '1h')
    const { out } = await store('scan', '--values')
    expect(out).toMatch(/^KEY +BYTES +TTL +VALUE\n/)
    expect(out).toContain('tab\\u{9}here')
    expect(out).toContain('two\\u{a}lines')
    expect(out).toMatch(/\n2 objects\n$/)
    expect((await store('scan', '--count', '1')).out).toMatch(/more with --cursor \d+\.\d+\n$/)
  })
})

describe('what is wrong with a command line', () => {
  it.each([
    [['set', 'k', 'v', '--ttl', '90'], '--ttl 90: expected a time from 1ms to 36500d'],
    [['set', 'k', 'v', '--bytes', '1M'], '--bytes 1M: expected a size from 2M to 256T'],
    [['set', 'k', 'v', '--zone-size', 'x'], '--zone-size x: expected a size from 32K to 16G'],
    [['set', '', 'v'], 'KEY of 0 bytes: expected 1 to 250 bytes'],
    [['get', 'x'.repeat(251)], 'KEY of 251 bytes: expected 1 to 250 bytes'],
    [['scan', '--count', '0'], '--count 0: expected a whole number from 1 to 1M'],
    [['scan', '--cursor', 'x'], 'the cursor "x" is none that scan gave'],
    [['fill', '--objects', '1.5'], '--objects 1.5: expected a whole number from 1 to 10G'],
    [['fill', '--ttl-mix', '60s'], '--ttl-mix 60s: expected TTL:share,TTL:share'],
    [['fill', '--ttl-mix', '60s:0'], '--ttl-mix 60s:0: expected TTL:share,TTL:share'],
    [['fill', '--eviction', 'lru'], '--eviction lru: expected one of evict, '],
    [['fill', '--lifetime-classes', '1'], '--lifetime-classes 1: expected a whole number from 2'],
    [['fill', '--cache-bytes', '1'], '--cache-bytes 1: expected 0, or a size from 256K to'],
    [['bench', '--size', '65M'], '--size 65M: expected a size from 0 to 64M'],
    [['get'], "missing required argument 'KEY'"],
  ])('%j', async ([verb, ...words], message) => {
    await make()
    const { code, out, err } = await store(verb!, ...words)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain(`zslab: ${message}`)
    expect(err).toContain(`next: zslab store ${verb} --help`)
  })

  it('a directory without a store says how to make one', async () => {
    const missing = await store('get', 'k')
    expect(missing.code).toBe(1)
    expect(missing.err).toContain('there is no store here: `zslab store set DIR KEY VALUE --bytes')
    const unmade = await store('fill', '--objects', '1')
    expect(unmade.code).toBe(1)
    expect(unmade.err).toContain('there is no store here: add --bytes SIZE')
    expect(await store('check')).toMatchObject({ code: 1, out: '' })
    expect(readdirSync(here.folder)).toEqual([])
    // One word on what to do, not two.
    expect(missing.err).not.toContain('next:')
    const device = await zslab(['store', 'get', '/dev/ublkb4242', 'k'])
    expect(device).toMatchObject({ code: 1, out: '' })
    expect(device.err).toBe(
      'zslab: /dev/ublkb4242: there is no such device: `zslab device list` shows those of zslab, `lsblk -z` all\n',
    )
  })

  it('options are called as they are on the command line', async () => {
    await make()
    const other = await store('set', 'k', 'v', '--zone-size', '2M')
    expect(other.code).toBe(2)
    expect(other.err).toContain('was made with --zone-size 1048576, not 2097152')
    const odd = await zslab(['store', 'fill', 'memory:64M', '--zone-size', '3M'])
    expect(odd.code).toBe(2)
    expect(odd.err).toContain('--zone-size 3145728: Linux takes only powers of two')
    const full = await store('fill', '--eviction', 'noeviction', '--objects', '100k')
    expect(full).toMatchObject({ code: 1, out: '' })
    expect(full.err).toContain('under --eviction noeviction: delete objects')
    expect(full.err).toContain('or open the store with --eviction evict')
  })

  it('nothing that was typed moves the cursor of a terminal', async () => {
    await make()
    const key = 'a\u001b[31mb\nc'
    expect((await store('get', key)).err).toBe('zslab: a\\u{1b}[31mb\\u{a}c: no such key\n')
    expect((await store('set', key, 'v')).out).toMatch(/^a\\u\{1b\}\[31mb\\u\{a\}c: 1 byte/)
  })

  it('a value ends its line on a terminal, and nowhere else', async () => {
    await make()
    const words = ['store', 'get', here.target, 'first']
    expect((await zslab(words, { outIsTerminal: true })).out).toBe('value\n')
    expect((await zslab(words, { outIsTerminal: false })).out).toBe('value')
    await store('set', 'line', 'value\n')
    const line = ['store', 'get', here.target, 'line']
    expect((await zslab(line, { outIsTerminal: true })).out).toBe('value\n')
  })

  it('memory is no place for a single object', async () => {
    const { code, err } = await zslab(['store', 'get', 'memory:8M', 'k'])
    expect(code).toBe(2)
    expect(err).toContain('TARGET memory:8M: a store in memory ends with the command')
  })

  it('a device of another program needs --format', async () => {
    const drive = await openDevice(here.target, { bytes: 8 * 2 ** 20 })
    await drive.write(0, new Uint8Array(PAGE_BYTES).fill(7))
    await drive.dispose()
    for (const words of [['get', 'k'], ['set', 'k', 'v'], ['check']]) {
      const { code, err } = await store(words[0]!, ...words.slice(1))
      expect({ words, code }).toEqual({ words, code: 1 })
      expect(err).toMatch(/holds data that is not this store|none of the 1 zones that were written/)
      expect(err.includes('--format')).toBe(words[0] === 'set')
    }
    expect(await store('set', 'k', 'v', '--format')).toMatchObject({ code: 0, err: '' })
    expect((await store('get', 'k')).out).toBe('v')
  })
})

interface Map {
  zonesTotal: number
  zonesFree: number
  classes: { zones: { fill: number; live: number; state: string; resetInMs: number | null }[] }[]
}

describe('many objects', () => {
  const MIX = ['--objects', '20k', '--ttl-mix', '60s:15,5m:15,none:70']

  it('fill, then stats, map and check agree', async () => {
    const filled = await json<{ objects: number; stats: { objects: number }; heldBytes: number }>(
      ...(['fill', '--bytes', '16M', ...MIX] as const),
    )
    expect(filled).toMatchObject({ objects: 20_000, stats: { objects: 20_000 } })
    const stats = await json<{ objects: number; heldBytes: number }>('stats')
    expect(stats).toMatchObject({ objects: 20_000, heldBytes: filled.heldBytes })
    const found = await json<Map>('map')
    const zones = found.classes.flatMap(one => one.zones)
    expect(found.classes).toHaveLength(3)
    expect(zones).toHaveLength(found.zonesTotal - found.zonesFree)
    expect(zones.length * 2 ** 20).toBe(filled.heldBytes)
    for (const { fill, live } of zones) {
      expect(live).toBe(1)
      expect(fill).toBeGreaterThan(0)
      expect(fill).toBeLessThanOrEqual(1)
    }
    expect(zones.some(({ resetInMs }) => resetInMs === null)).toBe(true)
    expect(zones.some(({ resetInMs }) => resetInMs !== null && resetInMs <= 60_000)).toBe(true)
    const check = await json<{ isWhole: boolean; live: number; records: number }>('check')
    expect(check).toMatchObject({ isWhole: true, live: 20_000, records: 20_000 })
    expect((await store('get', 'k000000000019999')).out).toHaveLength(128)
  })

  it('the end of fill names every cause and component', async () => {
    const { code, out } = await store(
      'fill',
      '--bytes',
      '16M',
      ...MIX,
      '--durability',
      'sync',
      '--cache-bytes',
      '0',
    )
    expect(code).toBe(0)
    const words = ['objects written', 'written', 'keys and values', 'zone headers', 'indexes']
    for (const word of [...words, 'memory', 'index', 'space live', 'space held', 'zones'])
      expect(out).toContain(word)
  })

  it('Ctrl-C in the middle of fill: what was written is there', async () => {
    let stop: (signalled: boolean) => void = () => {}
    let calls = 0
    const { code, out, err } = await zslab(
      ['store', 'fill', here.target, '--bytes', '16M', '--objects', '1M', '--json'],
      {
        interruption: () => ({
          done: new Promise(resolve => {
            stop = resolve
          }),
          cancel: () => {},
        }),
        errIsTerminal: true,
        columns: 60,
        // Time goes on with every look at it.
        nowMs: () => {
          calls++
          if (calls === 60) stop(true)
          return calls * 200
        },
      },
    )
    expect(code).toBe(1)
    const filled = JSON.parse(out) as { objects: number; isInterrupted: boolean }
    expect(filled.isInterrupted).toBe(true)
    expect(filled.objects).toBeGreaterThan(0)
    expect(filled.objects).toBeLessThan(1_000_000)
    const lines = err.split('\r\u001b[K').filter(line => line !== '')
    expect(lines.length).toBeGreaterThan(5)
    for (const line of lines) {
      expect(line).toMatch(/^(?:opening|filling) [█░]{8,24} +\d+%/)
      expect(line.length).toBeLessThan(60)
    }
    expect(lines.some(line => line.startsWith('filling'))).toBe(true)
    expect(err.endsWith('\r\u001b[K')).toBe(true)
    expect(await json('check')).toMatchObject({ isWhole: true, live: filled.objects })
    expect((await store('get', 'k000000000000000')).code).toBe(0)
  })

  it('Ctrl-C in the middle of bench: what was measured is told, and the store is empty', async () => {
    let stop: (signalled: boolean) => void = () => {}
    let calls = 0
    const { code, out } = await zslab(
      ['store', 'bench', here.target, '--bytes', '16M', '--objects', '4k', '--json'],
      {
        interruption: () => ({
          done: new Promise(resolve => {
            stop = resolve
          }),
          cancel: () => {},
        }),
        // In the second of the four rows.
        nowMs: () => {
          calls++
          if (calls === 5000) stop(true)
          return calls
        },
      },
    )
    expect(code).toBe(1)
    const told = JSON.parse(out) as { isInterrupted: boolean; rows: { operation: string }[] }
    expect(told.isInterrupted).toBe(true)
    expect(told.rows.map(({ operation }) => operation)).toEqual(['set, new'])
    expect(await json('stats')).toMatchObject({ objects: 0, heldBytes: 0 })
  })

  it('bench measures an empty store, and leaves one', async () => {
    const words = ['bench', '--objects', '3k', '--bytes', '16M'] as const
    const clock = { ...NEVER, nowMs: () => performance.now() }
    const { code, out, err } = await zslab(
      ['store', words[0], here.target, ...words.slice(1)],
      clock,
    )
    expect({ code, err }).toEqual({ code: 0, err: '' })
    for (const name of ['set, new', 'set, again', 'get', 'get, missing', '3,000 objects in'])
      expect(out).toContain(`\n${name}`)
    expect(await json('stats')).toMatchObject({ objects: 0, heldBytes: 0 })
    await store('set', 'mine', 'x')
    const refused = await store(...words)
    expect(refused).toMatchObject({ code: 1, out: '' })
    expect(refused.err).toContain('the store has 1 objects, and a bench needs an empty one')
    expect((await store('get', 'mine')).out).toBe('x')
  })
})
