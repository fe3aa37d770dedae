/**
 * Regenerates the tables of README.md and docs/STORE.md from the built tables: `npm run docs`. With --session it also runs the commands of the
 * README's session in a VM and pastes what they print.
 *
 * Regions are between `<!-- name -->` and `<!-- /name -->`. A test renders the same tables from the sources and compares.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ROOT = new URL('../', import.meta.url)

/** Codes that are types in their folders, so that no table of theirs can be loaded. */
const OTHER_ERRORS = {
  ZONE_ERR_GEOMETRY:
    'options that make no drive; the message names the option to change, and to what',
  ZONE_ERR_TABLE:
    'the shared memory belongs to another geometry; delete the device and make it again',
  ERR_VM_REQUIREMENTS:
    'the VM needs a program that is not installed; the message has the apt-get line',
  ERR_VM_KERNEL: 'there is no such kernel series; the message lists those that are',
  ERR_VM_DOWNLOAD: 'the Debian mirror cannot be reached; set ZSLAB_DEBIAN_MIRROR, or try again',
  ERR_VM_CHECKSUM: 'what was downloaded or cached is not what its checksum says; it is not used',
  ERR_VM_BOOT:
    'the guest never reached its first program; the message has the end of its kernel log',
  ERR_VM_PANIC: "the guest's kernel died; the message has the end of its log",
  ERR_VM_TIMEOUT: 'the command took longer than it was given; the VM was ended',
  ERR_VM_INTERRUPTED: 'a signal ended the VM; nothing is left of it',
}

function row(cells) {
  return `| ${cells.map(cell => String(cell).replaceAll('|', '\\|')).join(' | ')} |`
}

function table(titles, rows) {
  return [row(titles), row(titles.map(() => '---')), ...rows.map(row)].join('\n')
}

function defaultOf(spec, formatBytes) {
  if (spec.default === null) return 'see text'
  if (spec.type === 'boolean') return spec.default ? 'yes' : 'no'
  return spec.type === 'bytes' ? formatBytes(spec.default) : spec.default
}

/** The options of `zslab device create`. `client` is daemon/client, built or not. */
export function optionTable(client) {
  const rows = client.DEVICE_OPTIONS.map(spec => [
    `\`--${spec.type === 'boolean' && spec.default ? 'no-' : ''}${spec.flag}\``,
    defaultOf(spec, client.formatBytes),
    client.optionRange(spec),
    spec.type === 'boolean' && spec.default ? `switches off: ${spec.doc}` : spec.doc,
  ])
  const profiles = Object.entries(client.PROFILES).map(([name, { doc }]) => `- \`${name}\`: ${doc}`)
  return `${table(['option', 'default', 'allowed', 'meaning'], rows)}\n\nProfiles:\n\n${profiles.join('\n')}`
}

/** Every code of an error, and what to do. */
export function errorTable(...tables) {
  const rows = Object.entries(Object.assign({}, ...tables, OTHER_ERRORS))
  return table(
    ['code', 'meaning, and what to do'],
    rows.map(([code, text]) => [`\`${code}\``, text]),
  )
}

/** `text` with another body between the markers of `name`. Throws when they are not there. */
export function replaceRegion(text, name, body) {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const [start, end] = [text.indexOf(open), text.indexOf(close)]
  if (start < 0 || end < start) throw new Error(`the text has no region ${open} … ${close}`)
  return `${text.slice(0, start + open.length)}\n\n${body}\n\n${text.slice(end)}`
}

/** README.md with fresh tables. */
export function refresh(readme, client, ...errors) {
  const withOptions = replaceRegion(readme, 'options', optionTable(client))
  return replaceRegion(withOptions, 'errors', errorTable(client.DAEMON_ERRORS, ...errors))
}

/** The options of `zslab store`. `options` is cli/store-options, built or not. */
export function storeOptionTable(client, store, options) {
  const rows = options
    .storeOptions(store)
    .map(spec => [
      `\`--${spec.flag}\``,
      spec.verbs.join(', '),
      options.defaultText(spec, client),
      options.storeRange(spec, client),
      spec.doc,
    ])
  return table(['option', 'of', 'default', 'allowed', 'meaning'], rows)
}

/** docs/STORE.md with a fresh table. */
export function refreshStore(text, client, store, options) {
  return replaceRegion(text, 'options', storeOptionTable(client, store, options))
}

/** What the session shows, in one guest. A `!` in front: it is meant to fail. */
const SESSION = [
  'zslab device create --zones 8 --zone-size 16M --max-open 3 --max-active 4',
  'fio --filename=/dev/ublkb0 --output-format=terse fio-jobs/seq-write-verify.fio >/dev/null && echo verified',
  'zslab zone report 0',
  '!dd if=/dev/zero of=/dev/ublkb0 bs=4k count=1 seek=10 oflag=direct conv=notrunc status=none',
  'zslab explain 0',
  'zslab zone reset 0 --all',
  'zslab stats 0',
  'zslab device delete 0',
]

/** Runs the session in a VM; its text as on a terminal. Throws when a step does not end as it should. */
function runSession() {
  const steps = SESSION.map(line => {
    const command = line.replace(/^!/, '')
    const check = line.startsWith('!')
      ? `if { ${command}; } 2>&1; then exit 9; fi`
      : `{ ${command}; } 2>&1 || exit 8`
    return `printf '%s\\n' '$ ${command}'\n${check}\necho`
  })
  const cli = fileURLToPath(new URL('dist/cli/index.js', ROOT))
  const script = `zslab() { '${process.execPath}' '${cli}' "$@"; }\ncd '${fileURLToPath(ROOT)}'\n${steps.join('\n')}\n`
  const run = spawnSync(process.execPath, [cli, 'vm', '--', 'sh', '-c', script], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (run.status !== 0) throw new Error(`the session failed with ${run.status}:\n${run.stdout}`)
  return `\`\`\`console\n${run.stdout.trim()}\n\`\`\``
}

async function main() {
  const client = await import(new URL('dist/daemon/client.js', ROOT))
  const { DEVICE_ERRORS } = await import(new URL('dist/devices/index.js', ROOT))
  const { IMAGE_ERRORS } = await import(new URL('dist/image/index.js', ROOT))
  const { CLI_ERRORS } = await import(new URL('dist/cli/output.js', ROOT))
  const store = await import(new URL('dist/store/index.js', ROOT))
  const options = await import(new URL('dist/cli/store-options.js', ROOT))
  const storeFile = new URL('docs/STORE.md', ROOT)
  writeFileSync(storeFile, refreshStore(readFileSync(storeFile, 'utf8'), client, store, options))
  const file = new URL('README.md', ROOT)
  const errors = [DEVICE_ERRORS, store.STORE_ERRORS, IMAGE_ERRORS, CLI_ERRORS]
  let readme = refresh(readFileSync(file, 'utf8'), client, ...errors)
  if (process.argv.includes('--session')) readme = replaceRegion(readme, 'session', runSession())
  writeFileSync(file, readme)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
