/**
 * Why an I/O is refused: NVMe status codes (status code type in bits 8-10, status code in bits 0-7), the errno that
 * Linux's NVMe driver makes of each, and an explanation for people.
 *
 * Sources: NVM Express Base Specification (generic status), ZNS Command Set Specification 1.1 (command specific status
 * 1B6h-1BFh), Linux drivers/nvme/host/core.c nvme_error_status() and block/blk-core.c blk_errors[].
 */
import { EIO, EOVERFLOW, ETOOMANYREFS, errnoName } from './uapi.js'

export const STATUS_SUCCESS = 0x000
export const STATUS_INVALID_FIELD = 0x002
export const STATUS_LBA_OUT_OF_RANGE = 0x080
export const STATUS_ZONE_BOUNDARY_ERROR = 0x1b8
export const STATUS_ZONE_IS_FULL = 0x1b9
export const STATUS_ZONE_IS_READ_ONLY = 0x1ba
export const STATUS_ZONE_IS_OFFLINE = 0x1bb
export const STATUS_ZONE_INVALID_WRITE = 0x1bc
export const STATUS_TOO_MANY_ACTIVE = 0x1bd
export const STATUS_TOO_MANY_OPEN = 0x1be
export const STATUS_INVALID_TRANSITION = 0x1bf

/**
 * Not a status of NVMe: set when the media, not a zone rule, failed; the low 16 bits are the media's positive errno.
 * It lets every decision return one number without confusing ENOENT (2) with an invalid field (002h).
 */
export const STATUS_MEDIA = 0x10000

/** The status that carries a media's errno (positive or negative) through a decision that returns `-status`. */
export function statusOfMediaErrno(errno: number): number {
  return STATUS_MEDIA | Math.abs(errno)
}

/**
 * The positive errno to give to the kernel for a status, 0 for success. For the statuses of zones (1B6h-1BFh) it is that
 * of Linux's NVMe driver: too many open zones is ETOOMANYREFS (BLK_STS_ZONE_OPEN_RESOURCE), too many active zones EOVERFLOW
 * (BLK_STS_ZONE_ACTIVE_RESOURCE), all others EIO. Generic statuses are EIO too, where that driver tells some of them
 * apart (an invalid field is EOPNOTSUPP, an LBA out of range EREMOTEIO). A media's own errno passes through.
 */
export function errnoOfStatus(status: number): number {
  if (status === STATUS_SUCCESS) return 0
  if ((status & STATUS_MEDIA) !== 0) return status & 0xffff
  if (status === STATUS_TOO_MANY_OPEN) return ETOOMANYREFS
  if (status === STATUS_TOO_MANY_ACTIVE) return EOVERFLOW
  return EIO
}

/** What a status means. `rule` is what the device demands and where that is written; `hint` is what to do next. */
export interface StatusExplanation {
  readonly name: string
  readonly rule: string
  readonly hint: string
}

const EXPLANATIONS: ReadonlyMap<number, StatusExplanation> = new Map([
  [
    STATUS_SUCCESS,
    {
      name: 'Successful Completion',
      rule: 'The device accepted the request.',
      hint: 'Nothing to do.',
    },
  ],
  [
    STATUS_INVALID_FIELD,
    {
      name: 'Invalid Field in Command',
      rule:
        'Addresses and lengths are whole blocks; an append names a sequential zone and is no longer than the append ' +
        'limit (ZNS 1.1, section 3.4.1 and Zone Append Size Limit).',
      hint: 'Align the request to the block size, or split the append at zone_append_max_bytes.',
    },
  ],
  [
    STATUS_LBA_OUT_OF_RANGE,
    {
      name: 'LBA Out of Range',
      rule: 'Every address of a request lies on the device (NVMe NVM Command Set 1.0, status 80h).',
      hint: 'Compare the address with the number of zones times the zone size.',
    },
  ],
  [
    STATUS_ZONE_BOUNDARY_ERROR,
    {
      name: 'Zone Boundary Error',
      rule: 'A write or append ends at or before the capacity of its zone; no request crosses zones (ZNS 1.1, status 1B8h).',
      hint: 'Write what still fits (capacity minus write pointer), then go on in the next zone. Capacity may be less than size.',
    },
  ],
  [
    STATUS_ZONE_IS_FULL,
    {
      name: 'Zone Is Full',
      rule: 'A full zone takes no writes (ZNS 1.1, status 1B9h).',
      hint: 'Reset the zone to write it again, or write to another zone.',
    },
  ],
  [
    STATUS_ZONE_IS_READ_ONLY,
    {
      name: 'Zone Is Read Only',
      rule: 'A read-only zone can be read and nothing else (ZNS 1.1, status 1BAh).',
      hint: 'Copy what is in it elsewhere; the zone does not come back.',
    },
  ],
  [
    STATUS_ZONE_IS_OFFLINE,
    {
      name: 'Zone Is Offline',
      rule: 'An offline zone can be neither read nor written (ZNS 1.1, status 1BBh).',
      hint: 'What was in it is lost; leave the zone out.',
    },
  ],
  [
    STATUS_ZONE_INVALID_WRITE,
    {
      name: 'Zone Invalid Write',
      rule: 'A write to a sequential zone begins exactly at the write pointer (ZNS 1.1, status 1BCh).',
      hint:
        'Report the zone and write at its write pointer, or use zone append. After a failed write Linux refuses all ' +
        'further writes to the zone until it has been reported, reset or finished.',
    },
  ],
  [
    STATUS_TOO_MANY_ACTIVE,
    {
      name: 'Too Many Active Zones',
      rule: 'At most max-active zones are open or closed at a time (ZNS 1.1, Maximum Active Resources, status 1BDh).',
      hint: 'Finish or reset an active zone first, or make the device with a larger --max-active.',
    },
  ],
  [
    STATUS_TOO_MANY_OPEN,
    {
      name: 'Too Many Open Zones',
      rule:
        'At most max-open zones are open at a time, and none of the open ones may be closed automatically because all ' +
        'were opened explicitly (ZNS 1.1, Maximum Open Resources, status 1BEh).',
      hint: 'Close, finish or reset an explicitly open zone first, or make the device with a larger --max-open.',
    },
  ],
  [
    STATUS_INVALID_TRANSITION,
    {
      name: 'Invalid Zone State Transition',
      rule: 'The zone cannot go from its condition to the one asked for (ZNS 1.1, zone state machine, status 1BFh).',
      hint: 'Report the zone: conventional zones have no condition to change; read-only and offline zones keep theirs.',
    },
  ],
])

/** Name, rule and hint for a (positive) status, in our own words. Any number has one. */
export function explainStatus(status: number): StatusExplanation {
  const known = EXPLANATIONS.get(status)
  if (known !== undefined) return known
  if ((status & STATUS_MEDIA) !== 0) {
    return {
      name: `Media Error ${errnoName(status & 0xffff)}`,
      rule: 'The zone rules allowed the request; the media that holds the bytes could not do it.',
      hint: 'Check memory and space where the device keeps its bytes; the zone is as it was before.',
    }
  }
  return {
    name: `Status ${status.toString(16).padStart(3, '0')}h`,
    rule: 'This device gives no such status.',
    hint: 'Look the code up in the NVMe specifications: status code type in bits 8-10, code in bits 0-7.',
  }
}
