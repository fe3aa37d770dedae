/**
 * Makes a fresh clone ready: `node scripts/setup.mjs run` before `npm start`, `… test` before `npm test`.
 *
 * Steps: Node's version, system packages, npm packages, the build. Each is skipped when nothing changed (second run: well under
 * a second), and says what it does when it takes long. No dependencies: it runs before there are any.
 * Exit code 1, with what to do, when a step fails; a step that failed is done again by the next run.
 *
 * This file has to parse on every Node that somebody may have (12 and up): no top-level await, no `?.` and no `??` here.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NODE_MAJOR_MIN = 20
const NODE_LINE =
  'apt-get update && apt-get install -y curl && curl -fsSL https://deb.nodesource.com/setup_22.x | bash - && apt-get install -y nodejs'
const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Something is to be done by the user; the message says what. */
class SetupError extends Error {}

async function checkNode(host) {
  if (host.platform !== 'linux') {
    throw new SetupError(
      'zns-slab makes block devices of the Linux kernel: run it on Linux. (The zone model alone, `import` from "zns-slab", runs anywhere.)',
    )
  }
  if (Number(host.nodeVersion.split('.')[0]) >= NODE_MAJOR_MIN) return
  const who = host.uid === 0 ? '' : ', as root'
  throw new SetupError(
    `Node ${host.nodeVersion} is too old: ${NODE_MAJOR_MIN} or newer is needed. With nvm: nvm install 22. On Debian and Ubuntu${who}:\n\n  ${NODE_LINE}\n`,
  )
}

/** Says what begins, and then how long it took. `act` returns undefined, or what to tell the user. */
async function step(host, what, act) {
  const start = host.nowMs()
  host.out(`${what} ... `)
  let problem
  try {
    problem = await act()
  } catch (error) {
    host.out('\n')
    throw error
  }
  if (problem !== undefined) {
    host.out('failed\n\n')
    throw new SetupError(problem)
  }
  host.out(`${((host.nowMs() - start) / 1000).toFixed(1)} s\n`)
}

const names = entries => entries.map(entry => entry.name).join(' ')

async function systemPackages(host, mode) {
  const { missingPackages, installPackages, obstacle, obtainable } = await import('./packages.mjs')
  const missing = missingPackages(mode, host)
  if (missing.length === 0) return
  if (missing.every(entry => entry.optional)) {
    const left = obtainable(missing, host)
    if (left.length > 0) installPackages(left, host)
    const still = missingPackages(mode, host)
    if (still.length > 0) {
      host.out(`not installed: ${names(still)}; tests that need them will be skipped\n`)
    }
    return
  }
  const inTheWay = obstacle(missing, host)
  if (inTheWay !== undefined) throw new SetupError(inTheWay)
  await step(host, `apt-get: installing ${names(missing)}`, () => {
    const problem = installPackages(missing, host)
    if (problem !== undefined) return problem
    const still = missingPackages(mode, host).filter(entry => !entry.optional)
    if (still.length === 0) return undefined
    return `apt-get is content, but these are still not to be found: ${names(still)}.`
  })
}

async function npmPackages(host, root) {
  const { areNpmPackagesThere, installNpmPackages } = await import('./npm-packages.mjs')
  if (areNpmPackagesThere(root, host)) return
  await step(host, 'npm: installing packages', () => installNpmPackages(root, host))
}

/** The builders tell themselves what they did. */
async function compile(host, root, build) {
  if (!host.exists(join(root, 'build', 'ublk.node'))) {
    host.out('building TypeScript and the addon, about a minute the first time\n')
  }
  const isBuilt = build === undefined ? (await import('./build.mjs')).build : build
  if (!(await isBuilt())) {
    throw new SetupError('The build failed: see above. Once that is mended, run this again.')
  }
}

/** Everything, in order. Resolves to the exit code. `root` and `build` are given by tests. */
export async function setUp(mode, host, { root = ROOT, build } = {}) {
  try {
    await checkNode(host)
    if (mode !== 'run' && mode !== 'test') {
      throw new SetupError('Usage: node scripts/setup.mjs run|test')
    }
    await systemPackages(host, mode)
    await npmPackages(host, root)
    await compile(host, root, build)
    return 0
  } catch (error) {
    const { explainFailure } = await import('./host.mjs')
    const isSystem = error.code === 'ENOSPC' || error.code === 'EACCES' || error.code === 'EROFS'
    if (!(error instanceof SetupError) && !isSystem) throw error
    const advice = error.code === 'ENOSPC' ? `\n${explainFailure('ENOSPC')}` : ''
    host.err(`${error.message}${advice}\n`)
    return 1
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  import('./host.mjs')
    .then(({ thisHost }) => setUp(process.argv[2], thisHost()))
    .then(
      code => {
        process.exitCode = code
      },
      error => {
        console.error(error)
        process.exitCode = 1
      },
    )
}
