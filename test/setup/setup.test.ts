/**
 * The set-up as a whole, in a folder of its own on a fake machine: what it does, in which order, and what it says.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CONTENTS, type FakeHost, type FakeOptions, fakeHost, type RunResult } from './fake-host.js'

type SetUp = (
  mode: string | undefined,
  host: FakeHost,
  options: { root: string; build: () => Promise<boolean> },
) => Promise<number>
const { setUp } = (await import(new URL('../../scripts/setup.mjs', import.meta.url).href)) as {
  setUp: SetUp
}

let root = ''
let builds = 0
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'zslab-setup-'))
  builds = 0
  writeFileSync(join(root, 'package-lock.json'), '{}')
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const npmCalls = (host: FakeHost): string[] => host.calls.filter(call => /\bnpm\b/.test(call))

async function run(host: FakeHost, mode = 'run', built = true): Promise<number> {
  const build = async (): Promise<boolean> => {
    builds += 1
    return built
  }
  return setUp(mode, host, { root, build })
}

/** A machine with everything but npm's packages. */
const ready = (options: FakeOptions = {}): FakeHost =>
  fakeHost({ installed: Object.keys(CONTENTS), ...options })

describe('a fresh clone', () => {
  it('gets packages, npm packages and a build, each step told with its time', async () => {
    const host = fakeHost()
    expect(await run(host)).toBe(0)
    expect(host.stdout.split('\n')).toEqual([
      'apt-get: installing g++ liburing-dev liblz4-dev libzstd-dev fio qemu-system-x86 busybox-static xz-utils zstd ... 0.0 s',
      'npm: installing packages ... 0.0 s',
      'building TypeScript and the addon, about a minute the first time',
      '',
    ])
    expect(builds).toBe(1)
    expect(npmCalls(host)).toHaveLength(1)
    expect(npmCalls(host)[0]).toMatch(/^npm ci --no-audit /)
  })
  it('does nothing the second time, and says nothing once the addon is there', async () => {
    expect(await run(fakeHost())).toBe(0)
    const second = ready()
    const exists = second.exists
    second.exists = path => path === join(root, 'build', 'ublk.node') || exists(path)
    expect(await run(second)).toBe(0)
    expect(second.calls).toEqual([])
    expect(second.stdout).toBe('')
  })
  it('installs npm packages again for another lock file, and for another Node', async () => {
    expect(await run(ready())).toBe(0)
    writeFileSync(join(root, 'package-lock.json'), '{"another":true}')
    const other = ready()
    expect(await run(other)).toBe(0)
    expect(npmCalls(other)).toHaveLength(1)
    const newer = ready({ nodeVersion: '22.1.0' })
    expect(await run(newer)).toBe(0)
    expect(npmCalls(newer)).toHaveLength(1)
  })
  it("takes a developer's own npm install", async () => {
    mkdirSync(join(root, 'node_modules'))
    writeFileSync(join(root, 'node_modules', '.package-lock.json'), '{}')
    const host = ready()
    expect(await run(host)).toBe(0)
    expect(npmCalls(host)).toEqual([])
  })
  it('uses npm install where npm ci refuses the lock file', async () => {
    const npm = (call: string): RunResult =>
      call.includes(' ci ') ? { code: 1, text: 'npm error code EUSAGE' } : { code: 0, text: '' }
    const host = ready({ npm })
    expect(await run(host)).toBe(0)
    expect(npmCalls(host).map(call => call.split(' ')[1])).toEqual(['ci', 'install'])
  })
  it('gets an optional package that alone is missing, where it may', async () => {
    const installed = Object.keys(CONTENTS).filter(name => name !== 'sg3-utils')
    const host = ready({ installed, hasLists: true })
    expect(await run(host, 'test')).toBe(0)
    expect(host.hasProgram('sg_inq')).toBe(true)
    expect(host.stdout).not.toContain('not installed')
  })
  it('goes on without optional packages that the release lacks, and says so', async () => {
    const installed = Object.keys(CONTENTS).filter(name => name !== 'sg3-utils')
    const host = ready({ installed, uid: 1000 })
    expect(await run(host, 'test')).toBe(0)
    expect(host.stdout).toContain('not installed: sg3-utils; tests that need them will be skipped')
  })
})

describe('what cannot be done', () => {
  it('with an old Node is told before anything is touched', async () => {
    const host = fakeHost({ nodeVersion: '18.19.0', uid: 1000 })
    expect(await run(host)).toBe(1)
    expect(host.calls).toEqual([])
    expect(host.stderr).toBe(
      'Node 18.19.0 is too old: 20 or newer is needed. With nvm: nvm install 22. On Debian and Ubuntu, as root:\n\n' +
        '  apt-get update && apt-get install -y curl && curl -fsSL https://deb.nodesource.com/setup_22.x | bash - && apt-get install -y nodejs\n\n',
    )
  })
  it('elsewhere than on Linux', async () => {
    const host = fakeHost({ platform: 'darwin' })
    expect(await run(host)).toBe(1)
    expect(host.stderr).toContain('run it on Linux')
  })
  it('without root ends before npm', async () => {
    const host = fakeHost({ uid: 1000, sudo: 'password' })
    expect(await run(host)).toBe(1)
    expect(host.stderr).toContain('  sudo apt-get update && sudo apt-get install -y')
    expect(host.stdout).toBe('')
    expect(npmCalls(host)).toEqual([])
    expect(builds).toBe(0)
  })
  it('when apt-get is content and the program is not there', async () => {
    const host = fakeHost()
    const hasProgram = host.hasProgram
    host.hasProgram = name => name !== 'fio' && hasProgram(name)
    expect(await run(host)).toBe(1)
    expect(host.stderr).toContain('still not to be found: fio.')
  })
  it.each([
    ['no network', 'npm error code EAI_AGAIN', 'npm cannot reach its registry'],
    ['a full disk', 'npm error nospc ENOSPC: no space left on device, write', 'The disk is full'],
    ['something else', 'npm error engine', 'npm failed.'],
  ])('npm with %s, and the next run tries again', async (_name, text, advice) => {
    const broken = ready({ npm: () => ({ code: 1, text }) })
    expect(await run(broken)).toBe(1)
    expect(broken.stderr).toContain(text)
    expect(broken.stderr).toContain(advice)
    expect(builds).toBe(0)
    const mended = ready()
    expect(await run(mended)).toBe(0)
    expect(npmCalls(mended)).toHaveLength(1)
  })
  it('when the build fails', async () => {
    const host = ready()
    expect(await run(host, 'run', false)).toBe(1)
    expect(host.stderr).toContain('The build failed')
  })
  it('when the disk is full where nobody expects it', async () => {
    const host = ready()
    host.run = () => {
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
    }
    expect(await run(host)).toBe(1)
    expect(host.stderr).toContain('The disk is full')
  })
  it('without a mode', async () => {
    const host = ready()
    expect(await run(host, '')).toBe(1)
    expect(host.stderr).toBe('Usage: node scripts/setup.mjs run|test\n')
  })
})
