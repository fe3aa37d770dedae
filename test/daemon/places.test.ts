/** Where the daemon and its clients meet, wherever each of them runs; and the line that says that it is there. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { logPath, socketPath, stateRoot } from '../../daemon/paths.js'
import { checkOwnDirectory } from '../../daemon/runtime-directory.js'
import { daemonEnvironment } from '../../daemon/spawn.js'
import { StatusLine } from '../../daemon/status-line.js'

const files = vi.hoisted(() => ({ write: vi.fn(), close: vi.fn() }))
vi.mock('node:fs', async original => ({
  ...(await original<typeof import('node:fs')>()),
  writeSync: files.write,
  closeSync: files.close,
}))

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'zslab-places-'))
})
afterEach(() => {
  vi.unstubAllEnvs()
  vi.resetAllMocks()
  rmSync(root, { recursive: true })
})

describe('relative paths', () => {
  it('are those of the process that was given them, and its daemon gets them absolute', () => {
    vi.stubEnv('ZSLAB_SOCKET', 'x/z.sock')
    vi.stubEnv('ZSLAB_STATE', 'state')
    const socket = join(process.cwd(), 'x/z.sock')
    expect(socketPath()).toBe(socket)
    expect(logPath()).toBe(join(process.cwd(), 'x/daemon.log'))
    expect(daemonEnvironment()).toMatchObject({
      ZSLAB_SOCKET: socket,
      ZSLAB_STATE: join(process.cwd(), 'state'),
    })
  })

  it('one that is empty counts as not set', () => {
    vi.stubEnv('ZSLAB_STATE', '')
    expect(stateRoot()).toBe('/dev/shm/zslab')
  })
})

describe('a folder in /tmp', () => {
  const uid = process.getuid!()
  const check = (name: string, who = uid) => checkOwnDirectory(join(root, name), who)

  it('that is ours alone, or not there yet, is trusted', () => {
    mkdirSync(join(root, 'ours'), { mode: 0o700 })
    expect(() => check('ours')).not.toThrow()
    expect(() => check('none')).not.toThrow()
  })

  it('that others may write to, is a link, or is not ours, is not', () => {
    mkdirSync(join(root, 'open'))
    chmodSync(join(root, 'open'), 0o777)
    mkdirSync(join(root, 'ours'), { mode: 0o700 })
    symlinkSync(join(root, 'ours'), join(root, 'link'))
    const refusal = { code: 'DAEMON_ERR_PERMISSION', message: expect.stringMatching(/XDG_RUNTIME/) }
    const thrown = (run: () => void): unknown => {
      try {
        run()
        return null
      } catch (error) {
        return error
      }
    }
    expect(thrown(() => check('open'))).toMatchObject(refusal)
    expect(thrown(() => check('link'))).toMatchObject(refusal)
    expect(thrown(() => check('ours', uid + 1))).toMatchObject(refusal)
  })

  it('is looked at whenever the socket is in it', () => {
    vi.spyOn(process, 'getuid').mockReturnValue(987_654)
    vi.stubEnv('ZSLAB_SOCKET', '')
    vi.stubEnv('XDG_RUNTIME_DIR', '')
    const shared = '/tmp/zslab-987654'
    expect(socketPath()).toBe(`${shared}/zslab/control.sock`)
    mkdirSync(shared, { mode: 0o700 })
    try {
      // Made by somebody else, who is this process.
      expect(() => socketPath()).toThrow(/belongs to user 987654/)
    } finally {
      rmSync(shared, { recursive: true })
      vi.restoreAllMocks()
    }
  })
})

describe('the status line', () => {
  const failure = (code: string) => Object.assign(new Error(code), { code })

  it('is said once, and its descriptor is never touched again', () => {
    const line = new StatusLine(33)
    expect(line.say({ ok: true })).toBe(true)
    expect(line.say({ ok: false, code: 'X', message: 'later' })).toBe(false)
    expect(files.write.mock.calls).toEqual([[33, '{"ok":true}\n']])
    expect(files.close.mock.calls).toEqual([[33]])
  })

  it('does not mind that the command has gone', () => {
    files.write.mockImplementation(() => {
      throw failure('EPIPE')
    })
    const line = new StatusLine(33)
    expect(line.say({ ok: true })).toBe(true)
    expect(files.close.mock.calls).toEqual([[33]])
    expect(line.say({ ok: true })).toBe(false)
  })
})
