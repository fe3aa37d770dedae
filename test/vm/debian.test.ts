/** What is read of a Debian archive: sources, InRelease, Packages, versions; and which package is chosen. */
import { describe, expect, it } from 'vitest'
import { compareVersions, debianMirror, parsePackages, releaseSha256 } from '../../vm/debian.js'
import { choosePackages } from '../../vm/kernels.js'

const SHA = 'ab'.repeat(32)
const paragraph = (name: string, version: string, sha256 = SHA): string =>
  `Package: ${name}\nVersion: ${version}\nDescription: a kernel\n with more lines\nFilename: pool/${name}_${version}.deb\nSize: 1234\nSHA256: ${sha256}\n`

describe('debianMirror', () => {
  it('reads one-line sources, with options', () => {
    const text =
      '# comment\ndeb-src http://src.example/debian x main\ndeb [arch=amd64 signed-by=/k] https://m.example/debian/ bookworm main\n'
    expect(debianMirror([text])).toBe('https://m.example/debian')
  })
  it('reads deb822 sources', () => {
    const text = 'Types: deb\nURIs: http://m.example/debian\nSuites: trixie\nComponents: main\n'
    expect(debianMirror([text])).toBe('http://m.example/debian')
  })
  it('passes over disabled entries, the security archive, other archives and other methods', () => {
    const texts = [
      'Types: deb\nEnabled: no\nURIs: http://off.example/debian\n',
      'Types: deb\nURIs: http://m.example/debian-security\n\nTypes: deb\nURIs: mirror+file:/etc/debian\n',
      'deb http://archive.example/ubuntu noble main\n',
    ]
    expect(debianMirror(texts)).toBeUndefined()
  })
})

describe('releaseSha256', () => {
  const text = `Origin: Debian\nMD5Sum:\n ${'0'.repeat(32)} 10 main/binary-amd64/Packages.xz\nSHA256:\n ${'1'.repeat(64)}   20 main/binary-amd64/Packages\n ${SHA}   10 main/binary-amd64/Packages.xz\n-----BEGIN PGP SIGNATURE-----\n`
  it('takes the SHA256 of exactly that path', () => {
    expect(releaseSha256(text, 'main/binary-amd64/Packages.xz')).toBe(SHA)
  })
  it('knows nothing of paths that are not listed', () => {
    expect(releaseSha256(text, 'main/binary-arm64/Packages.xz')).toBeUndefined()
  })
})

describe('parsePackages', () => {
  it('reads the fields of matching packages only', () => {
    const text = `${paragraph('a', '1')}\n${paragraph('b', '2')}\n`
    expect(parsePackages(text, name => name === 'b')).toEqual([
      { name: 'b', version: '2', filename: 'pool/b_2.deb', bytes: 1234, sha256: SHA },
    ])
  })
  it('never returns a package whose checksum is not one', () => {
    expect(parsePackages(paragraph('a', '1', 'xyz'), () => true)).toEqual([])
  })
})

describe('compareVersions', () => {
  it.each([
    ['6.12.9-1', '6.12.95-1'],
    ['6.12.95-1~bpo12+1', '6.12.95-1'],
    ['6.12.95-1', '6.12.95-2'],
    ['1.0~rc1', '1.0'],
    ['1.0', '1.0a'],
    ['1.0a', '1.0+b'],
    ['9', '1:1'],
    ['1.2', '1.10'],
  ])('%s is older than %s', (older, newer) => {
    expect(compareVersions(older, newer)).toBeLessThan(0)
    expect(compareVersions(newer, older)).toBeGreaterThan(0)
    expect(compareVersions(newer, newer)).toBe(0)
  })
})

describe('choosePackages', () => {
  const of = (...names: [string, string][]) =>
    parsePackages(names.map(([name, version]) => paragraph(name, version)).join('\n'), () => true)
  const image = /^linux-image-(6\.12\.\d+\+deb[\d.]+-amd64)(?:-unsigned)?$/

  it('takes the newest, and the signed one of two', () => {
    const chosen = choosePackages(
      [image],
      of(
        ['linux-image-6.12.9+deb12-amd64', '6.12.9-1'],
        ['linux-image-6.12.95+deb12-amd64-unsigned', '6.12.95-1'],
        ['linux-image-6.12.95+deb12-amd64', '6.12.95-1'],
        ['linux-image-6.12.99+deb12-cloud-amd64', '6.12.99-1'],
      ),
    )
    expect(chosen?.release).toBe('6.12.95+deb12-amd64')
    expect(chosen?.packages.map(p => p.name)).toEqual(['linux-image-6.12.95+deb12-amd64'])
  })
  it('takes the newest release that has both its kernel and its modules', () => {
    const patterns = [/^linux-binary-(7\.2\.\d+)$/, /^linux-modules-(7\.2\.\d+)$/]
    const packages = of(
      ['linux-binary-7.2.9', '7.2.9-1'],
      ['linux-modules-7.2.9', '7.2.9-1'],
      ['linux-binary-7.2.11', '7.2.11-1'],
    )
    const chosen = choosePackages(patterns, packages)
    expect(chosen?.packages.map(p => p.name)).toEqual(['linux-binary-7.2.9', 'linux-modules-7.2.9'])
    expect(choosePackages(patterns, of(['linux-binary-7.2.9', '7.2.9-1']))).toBeUndefined()
  })
})
