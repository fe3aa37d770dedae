/**
 * `zslab image`: look at, mend and copy drives that live in a directory (`zslab device create --image DIR`). No daemon: an image
 * that is in use is refused.
 */
import type { Command } from 'commander'
import {
  checkImage,
  copyImage,
  type ImageCopy,
  type Inspection,
  repairImage,
  type ZoneInspection,
} from '../image/index.js'
import { type CommonOptions, finishVerb } from './arguments.js'
import type { Io } from './io.js'
import { EXIT_FAILED, ExitCode, printResult } from './output.js'
import { plural } from './table.js'

function isZoneWhole(zone: ZoneInspection): boolean {
  return zone.lostZone === null && zone.lost.length === 0 && zone.condition !== 'offline'
}

function zoneState({ condition, writePointerSectors, pages }: ZoneInspection): string {
  const pointer = condition === 'closed' ? `, write pointer at sector ${writePointerSectors}` : ''
  return `${condition}${pointer}, ${plural(pages, 'page')}`
}

/** Zones that lost something each with what; whole ones in a row in one line. */
function zoneLines(zones: readonly ZoneInspection[]): string[] {
  const lines: string[] = []
  for (let at = 0; at < zones.length; ) {
    const zone = zones[at]!
    let next = at + 1
    if (isZoneWhole(zone)) {
      while (next < zones.length && isZoneWhole(zones[next]!)) next++
      lines.push(next - at === 1 ? `zone ${at}: whole` : `zones ${at} to ${next - 1}: whole`)
    } else if (zone.lostZone !== null) {
      lines.push(`zone ${at}: LOST, all of it: ${zone.lostZone}`)
    } else {
      lines.push(`zone ${at}: ${zoneState(zone)}`)
      for (const { offsetSectors, countSectors, why } of zone.lost)
        lines.push(`  LOST: ${countSectors} sectors from sector ${offsetSectors}: ${why}`)
    }
    at = next
  }
  return lines
}

/** What was looked at, for people. */
export function formatInspection(found: Inspection, isRepaired: boolean): string {
  const { directory, damage, zones, isWhole, isSnapshot, needsRepair, tier, isTierLost } = found
  const lines = damage.map(({ file, offset, what }) => `${file}: byte ${offset}: ${what}`)
  lines.push(...zoneLines(zones))
  const name = `${isSnapshot ? 'snapshot' : 'image'} ${directory}`
  const mended =
    'what is LOST above cannot be read until it is written anew; zones lost as a whole are offline'
  const without = isTierLost ? [`it has no tier any more: ${tier} is not used`] : []
  if (isWhole) lines.push(`${name} is whole`)
  else if (!needsRepair) lines.push(`${name} can be used: ${mended}`)
  else if (isRepaired) lines.push(`${name} is repaired: ${mended}`, ...without)
  else lines.push(`${name} is damaged`, `  next: zslab image repair ${directory}`)
  return `${lines.join('\n')}\n`
}

/** Zones by the thousand that are whole say nothing to a program either. */
function inspectionJson({ zones, ...rest }: Inspection, isRepaired: boolean): object {
  const damaged = zones.filter(zone => !isZoneWhole(zone))
  return { ...rest, isRepaired, zoneCount: zones.length, damagedZones: damaged }
}

function check(io: Io, directory: string, options: CommonOptions): void {
  const found = checkImage(directory)
  const json = options.json === true
  printResult(io, json, inspectionJson(found, false), () => formatInspection(found, false))
  if (!found.isWhole) throw new ExitCode(EXIT_FAILED)
}

function repair(io: Io, directory: string, options: CommonOptions): void {
  const found = repairImage(directory)
  const value = inspectionJson(found, found.needsRepair)
  printResult(io, options.json === true, value, () => formatInspection(found, true))
}

function formatCopy({ source, target, isShared }: ImageCopy, kind: string): string {
  const how = isShared ? 'sharing its blocks' : 'copied: this file system cannot share blocks'
  return `${target} is a ${kind} of ${source}, ${how}\n`
}

function copy(
  io: Io,
  source: string,
  target: string,
  kind: 'snapshot' | 'clone',
  options: CommonOptions,
): void {
  const copied = copyImage(source, target, kind === 'snapshot')
  printResult(io, options.json === true, copied, () => formatCopy(copied, kind))
}

export function registerImage(command: Command, io: Io): void {
  const verb = (name: string, summary: string): Command =>
    command.command(name).description(summary).argument('<DIR>', 'folder of the image')
  finishVerb(
    verb(
      'check',
      'say zone by zone what is whole and what is lost; exit code 1 when something is',
    ).action((directory, options) => check(io, directory, options)),
    ['zslab image check /srv/drive', 'zslab image check /srv/drive --json | jq .damagedZones'],
  )
  finishVerb(
    verb(
      'repair',
      'save what can be saved: what is lost cannot be read, lost zones go offline',
    ).action((directory, options) => repair(io, directory, options)),
    ['zslab image repair /srv/drive'],
  )
  finishVerb(
    verb('snapshot', 'a copy that stays as it is: it can be cloned, not used')
      .argument('<TARGET>', 'folder for the copy: new, or empty')
      .action((source, target, options) => copy(io, source, target, 'snapshot', options)),
    ['zslab image snapshot /srv/drive /srv/drive-before'],
  )
  finishVerb(
    verb('clone', 'a copy that is a drive of its own')
      .argument('<TARGET>', 'folder for the copy: new, or empty')
      .action((source, target, options) => copy(io, source, target, 'clone', options)),
    ['zslab image clone /srv/drive-before /srv/drive', 'zslab device create --image /srv/drive'],
  )
}
