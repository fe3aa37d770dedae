/**
 * What goes wrong while a device is made, in the words of who made it: codes of the daemon, names of flags, what to do next.
 */
import { ZoneModelError } from '../zone-model/index.js'
import { DaemonError } from './errors.js'

/** The zone model's names of options → the flags that people type. */
const FLAGS: Readonly<Record<string, string>> = {
  zoneCount: '--zones',
  zoneSizeBytes: '--zone-size',
  zoneCapacityBytes: '--zone-capacity',
  conventionalCount: '--conventional',
  maxOpen: '--max-open',
  maxActive: '--max-active',
  maxAppendBytes: '--max-append',
  blockSizeBytes: '--block-size',
}

function withFlags(message: string): string {
  return message.replace(/\b[a-z]+[A-Z]\w*/g, name => FLAGS[name] ?? name)
}

const UNITS = ['K', 'M', 'G'] as const

/** 3145728 → 3M: as sizes are typed, where that loses nothing. */
function sizeText(bytes: number): string {
  const power = UNITS.findLastIndex((_, i) => bytes % 1024 ** (i + 1) === 0)
  return power < 0 || bytes === 0 ? `${bytes}` : `${bytes / 1024 ** (power + 1)}${UNITS[power]}`
}

function withSizes(message: string): string {
  return message.replace(/\b\d+\b/g, digits => sizeText(Number(digits)))
}

const RESOURCES = ['ENOMEM', 'ENOSPC', 'EMFILE', 'ENFILE', 'EAGAIN']

/** What went wrong while a device was made → the error that the user sees. */
export function explainError(error: unknown, id: number): unknown {
  if (error instanceof DaemonError) return error
  if (error instanceof ZoneModelError) {
    const text = error.option?.endsWith('Bytes') ? withSizes(error.message) : error.message
    return new DaemonError('DAEMON_ERR_OPTION', withFlags(text), { cause: error })
  }
  const { code, message } = error as { code?: string; message: string }
  const cause = { cause: error }
  if (code !== undefined && RESOURCES.includes(code)) {
    return new DaemonError('DAEMON_ERR_RESOURCES', `out of resources: ${message}`, cause)
  }
  // By name: that of a worker comes as a copy, without its class.
  if ((error as Error).name === 'ImageError') {
    return new DaemonError('DAEMON_ERR_IMAGE', `${code}: ${message}`, cause)
  }
  if ((error as Error).name !== 'UblkError') return error
  if (code === 'EACCES' || code === 'EPERM') {
    return new DaemonError(
      'DAEMON_ERR_PERMISSION',
      `${message}: run with sudo, or use \`zslab vm\``,
      cause,
    )
  }
  if (code === 'EEXIST') {
    return new DaemonError(
      'DAEMON_ERR_DEVICE_EXISTS',
      `device ${id} is there already: choose another --id`,
      cause,
    )
  }
  return new DaemonError('DAEMON_ERR_KERNEL_CALL', message, cause)
}
