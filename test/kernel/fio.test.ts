/**
 * The jobs of fio-jobs/ on every layout, each with verification. A job that has to run on something other than the bare
 * device (a mounted zonefs, say) has its own test in filesystems.test.ts.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { client, closeAll, create, type Device, newKernelWarnings, remove, run } from './harness.js'
import { LAYOUTS } from './layouts.js'

const JOBS = new URL('../../fio-jobs/', import.meta.url).pathname
const jobs = readdirSync(JOBS).filter(name => name.endsWith('.fio') && !name.startsWith('append-'))

afterAll(async () => expect(await closeAll()).toEqual([]))

describe.each(LAYOUTS)('$name', ({ options }) => {
  let device: Device
  beforeEach(async () => {
    device = await create(options)
  })
  afterEach(async () => {
    await remove(device)
    expect(newKernelWarnings()).toEqual([])
  })

  it.each(jobs)('%s', async job => {
    const { code, stdout, stderr } = await run('fio', [
      `--filename=${device.path}`,
      '--output-format=normal',
      join(JOBS, job),
    ])
    expect(code, `${stdout}\n${stderr}`).toBe(0)
    expect(stdout).not.toMatch(/verify: bad|err=\s*[1-9]/)
    const { counters } = await client.request('stats', { id: device.id })
    expect(counters.reads + counters.writes).toBeGreaterThan(0)
    expect(counters.failed).toBe(0)
  })
})
