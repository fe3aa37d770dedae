/**
 * What we read of a Debian archive: apt's sources (which mirror), a suite's InRelease (checksums of its indices), its
 * Packages (which .deb, and its checksum), and the order of version numbers.
 *
 * Pure: text in, values out.
 * Source: sources.list(5), wiki.debian.org/DebianRepository/Format, deb-version(7).
 */

export const DEFAULT_MIRROR = 'http://deb.debian.org/debian'

/** One package of an index, with the fields that fetching it takes. `filename` is relative to the mirror. */
export interface DebianPackage {
  readonly name: string
  readonly version: string
  readonly filename: string
  readonly bytes: number
  readonly sha256: string
}

/**
 * The first Debian mirror in apt's configuration, or undefined (Ubuntu, derivatives, `mirror:` and `file:` methods).
 * `texts` are the contents of one-line (`.list`) or deb822 (`.sources`) files. The security archive is another archive.
 */
export function debianMirror(texts: readonly string[]): string | undefined {
  for (const text of texts) {
    for (const uri of sourceUris(text)) {
      if (/^https?:\/\/\S+\/debian\/?$/.test(uri)) return uri.replace(/\/$/, '')
    }
  }
  return undefined
}

function sourceUris(text: string): string[] {
  const uris: string[] = []
  for (const paragraph of text.split(/\n\s*\n/)) {
    if (/^Enabled:\s*no\s*$/im.test(paragraph)) continue
    for (const line of paragraph.split('\n')) {
      const oneLine = /^deb\s+(?:\[[^\]]*\]\s*)?(\S+)\s/.exec(line)
      if (oneLine?.[1] !== undefined) uris.push(oneLine[1])
      const deb822 = /^URIs:\s*(.+)$/i.exec(line)
      if (deb822?.[1] !== undefined) uris.push(...deb822[1].trim().split(/\s+/))
    }
  }
  return uris
}

/** SHA256 of `path` (e.g. `main/binary-amd64/Packages.xz`) as an InRelease lists it. */
export function releaseSha256(inRelease: string, path: string): string | undefined {
  const section = /^SHA256:\n((?: .*\n?)+)/m.exec(inRelease)?.[1] ?? ''
  for (const line of section.split('\n')) {
    const [sha256, , name] = line.trim().split(/\s+/)
    if (name === path) return sha256
  }
  return undefined
}

/** The packages of a Packages index whose name `matches`. Paragraphs without what we need are passed over. */
export function parsePackages(text: string, matches: (name: string) => boolean): DebianPackage[] {
  const packages: DebianPackage[] = []
  for (const paragraph of text.split('\n\n')) {
    const name = /^Package: (.+)$/m.exec(paragraph)?.[1]
    if (name === undefined || !matches(name)) continue
    const field = (key: string): string | undefined =>
      new RegExp(`^${key}: (.+)$`, 'm').exec(paragraph)?.[1]
    const version = field('Version')
    const filename = field('Filename')
    const sha256 = field('SHA256')
    const bytes = Number(field('Size'))
    if (version === undefined || filename === undefined || sha256 === undefined) continue
    if (!/^[0-9a-f]{64}$/.test(sha256) || !Number.isSafeInteger(bytes) || bytes <= 0) continue
    packages.push({ name, version, filename, bytes, sha256 })
  }
  return packages
}

/** Debian's order of versions: negative, zero or positive as `a` is older than, equal to or newer than `b`. */
export function compareVersions(a: string, b: string): number {
  const left = splitVersion(a)
  const right = splitVersion(b)
  if (left.epoch !== right.epoch) return left.epoch - right.epoch
  return comparePart(left.upstream, right.upstream) || comparePart(left.revision, right.revision)
}

function splitVersion(version: string): { epoch: number; upstream: string; revision: string } {
  const colon = version.indexOf(':')
  const rest = version.slice(colon + 1)
  const dash = rest.lastIndexOf('-')
  return {
    epoch: colon < 0 ? 0 : Number(version.slice(0, colon)),
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? '' : rest.slice(dash + 1),
  }
}

/** '~' sorts before the end, the end before letters, letters before everything else. */
function weight(character: string): number {
  if (character === '~') return -1
  if (character === '' || /[0-9]/.test(character)) return 0
  const code = character.charCodeAt(0)
  return /[a-zA-Z]/.test(character) ? code : code + 256
}

function comparePart(a: string, b: string): number {
  let i = 0
  let j = 0
  while (i < a.length || j < b.length) {
    while (weight(a.charAt(i)) !== 0 || weight(b.charAt(j)) !== 0) {
      const difference = weight(a.charAt(i)) - weight(b.charAt(j))
      if (difference !== 0) return difference
      i += 1
      j += 1
    }
    const left = /^\d*/.exec(a.slice(i))![0]
    const right = /^\d*/.exec(b.slice(j))![0]
    if (Number(left) !== Number(right)) return Number(left) - Number(right)
    i += left.length
    j += right.length
  }
  return 0
}
