/**
 * fio, new enough for its own zoned suite (3.39): Debian's source package, built once into the cache.
 *
 * Older ones fail a dozen of their own tests on any zoned device. Which suite still offers the source changes with time, so
 * several are asked.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cacheRoot, replaceFolder, withLock } from '../../vm/cache.js'
import { releaseSha256 } from '../../vm/debian.js'
import { downloadBytes, downloadFile, progressBar } from '../../vm/download.js'
import { chooseMirror } from '../../vm/kernels.js'

const SUITES = ['trixie', 'trixie-backports', 'sid']
const VERSION_MIN = 3.39

/** The upstream tarball of a suite's fio, as its Sources index lists it; null when it is too old. */
function findTarball(sources: string): { file: string; sha256: string; bytes: number } | null {
  const paragraph = sources.split('\n\n').find(text => /^Package: fio$/m.test(text))
  if (paragraph === undefined) return null
  const version = /^Version: (\d+\.\d+)/m.exec(paragraph)
  if (version === null || Number(version[1]) < VERSION_MIN) return null
  const directory = /^Directory: (.*)$/m.exec(paragraph)![1]!
  const sums = /^Checksums-Sha256:\n((?: .*\n?)+)/m.exec(paragraph)![1]!
  const line = sums.split('\n').find(text => /\.orig\.tar\.[a-z]+$/.test(text))!
  const [sha256, bytes, name] = line.trim().split(/\s+/) as [string, string, string]
  return { file: `${directory}/${name}`, sha256, bytes: Number(bytes) }
}

async function download(mirror: string, suite: string, folder: string): Promise<string | null> {
  const base = `${mirror}/dists/${suite}`
  const index = join(folder, 'Sources.xz')
  const release = (await downloadBytes(`${base}/InRelease`)).toString('utf8')
  const sha256 = releaseSha256(release, 'main/source/Sources.xz')
  if (sha256 === undefined) return null
  await downloadFile(`${base}/main/source/Sources.xz`, index, sha256, () => {})
  const sources = execFileSync('xz', ['-dc', index], { encoding: 'utf8', maxBuffer: 1 << 30 })
  const tarball = findTarball(sources)
  if (tarball === null) return null
  const path = join(folder, 'fio.tar')
  const bar = progressBar(`Downloading ${tarball.file}`, tarball.bytes)
  await downloadFile(`${mirror}/${tarball.file}`, path, tarball.sha256, bar.update)
  bar.done()
  return path
}

function build(tarball: string, folder: string): void {
  const source = join(folder, 'fio')
  mkdirSync(source)
  execFileSync('tar', ['-xf', tarball, '--strip-components=1', '-C', source])
  process.stderr.write('Building fio\n')
  const quiet = { cwd: source, stdio: ['ignore', 'pipe', 'pipe'] as const, maxBuffer: 1 << 26 }
  // The VM's processor is not this one: no code that only this one runs.
  execFileSync('./configure', ['--disable-native'], { ...quiet, stdio: ['ignore', 'pipe', 'pipe'] })
  execFileSync('make', ['-j2', 'fio'], { ...quiet, stdio: ['ignore', 'pipe', 'pipe'] })
}

/** The folder of fio's sources, with `fio` built. Throws when no suite's source can be had. */
export async function ensureFioSource(): Promise<string> {
  const root = join(cacheRoot(), 'fio')
  const folder = join(root, 'built')
  if (existsSync(join(folder, 'fio', 'fio'))) return join(folder, 'fio')
  return withLock(join(cacheRoot(), 'fio.lock'), async () => {
    if (existsSync(join(folder, 'fio', 'fio'))) return join(folder, 'fio')
    const mirror = await chooseMirror()
    const reasons: string[] = []
    for (const suite of SUITES) {
      const fresh = join(root, 'new')
      rmSync(fresh, { recursive: true, force: true })
      mkdirSync(fresh, { recursive: true })
      try {
        const tarball = await download(mirror, suite, fresh)
        if (tarball === null) throw new Error(`no fio ${VERSION_MIN} or newer`)
        build(tarball, fresh)
      } catch (error) {
        reasons.push(`${suite}: ${(error as Error).message}`)
        continue
      }
      for (const name of readdirSync(fresh)) if (name !== 'fio') rmSync(join(fresh, name))
      await replaceFolder(folder, fresh)
      return join(folder, 'fio')
    }
    throw new Error(`fio's sources could not be had or built:\n${reasons.join('\n')}`)
  })
}
