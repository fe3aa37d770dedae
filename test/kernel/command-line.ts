/**
 * The command line as it is typed, and what tests of it share: writes, reads and reports by other programs' means.
 *
 * How long each command took is printed: what a figure means depends on the machine, so none is asserted.
 */
import { expect } from 'vitest'
import { blkzoneReport, CONDITION } from './blkzone.js'
import { client, cliPath, type Device, read, run } from './harness.js'

/** A command line, and how long it took. */
export async function zslab(...args: string[]) {
  const began = performance.now()
  const outcome = await run(process.execPath, [cliPath, ...args])
  const ms = Math.round(performance.now() - began)
  process.stdout.write(`zslab ${args.join(' ')}: ${ms} ms, exit code ${outcome.code}\n`)
  return outcome
}

/** The JSON of a command line that must succeed. */
export async function json(...args: string[]) {
  const { code, stdout, stderr } = await zslab(...args, '--json')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

/** The text of a command line that must succeed. */
export async function text(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await zslab(...args)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
}

export async function make(...flags: string[]): Promise<Device> {
  return json('device', 'create', ...flags)
}

/** Whether all bytes there are zero, read past the page cache. */
export async function isZero(device: Device, offsetBytes: number, bytes: number): Promise<boolean> {
  return (await read(device, offsetBytes, bytes)).every(byte => byte === 0)
}

/** Conditions as the kernel reports them, each zone a word. */
export async function conditions(device: Device): Promise<string[]> {
  return (await blkzoneReport(device.path)).map(({ condition }) => CONDITION[condition]!)
}

/** Our report and the kernel's, zone by zone. */
export async function compareReports(device: Device): Promise<void> {
  const { zones } = await client.request('zone.report', { id: device.id })
  const theirs = await blkzoneReport(device.path)
  expect(theirs).toHaveLength(device.zones)
  expect(zones).toHaveLength(device.zones)
  const differing = theirs.filter((seen, index) => {
    const zone = zones[index]!
    const { writePointerSector } = zone
    const pointer = zone.type === 'sequential' ? writePointerSector : null
    return !(
      zone.zone === index &&
      zone.startSector === seen.start &&
      zone.sizeSectors === seen.length &&
      zone.capacitySectors === seen.capacity &&
      zone.condition === CONDITION[seen.condition] &&
      (pointer === null || pointer - zone.startSector === seen.wp)
    )
  })
  expect(differing).toEqual([])
}
