/**
 * What crosses between TypeScript and C++ (docs/BOUNDARY.md), and the numbers of the kernel's ublk ABI that TypeScript needs
 * (include/uapi/linux/ublk_cmd.h, names verbatim). The addon exports those that both sides use, computed by its compiler, and
 * refuses to load when one differs: `assertLayout`. Flags, states and commands are TypeScript's alone; C++ passes them on.
 */

/** Words (Int32) of one command. */
export const COMMAND_WORDS = 8
export const COMMAND_COMMIT = 0
export const COMMAND_WRITE = 1
export const COMMAND_READ = 2
export const COMMAND_DISCARD = 3
export const COMMAND_FLUSH = 4
/** Set on a WRITE, or on the COMMIT of a failed append: words 6 and 7 hold the LBA to report. */
export const COMMAND_APPEND_BIT = 0x100
/** Set in `tags` for a WRITE that failed and is not committed yet. */
export const TAG_FAILED = 0x8000
/** Words (Uint32) of one ublksrv_io_desc. */
export const DESCRIPTOR_WORDS = 6
/** commitAndFetch takes `count | parity << PARITY_SHIFT`. */
export const PARITY_SHIFT = 16
/** And this, for a turn whose times are wanted: see `clock` of a queue. */
export const STAMP_BIT = 1 << 30

/** Kinds of page in the page map. */
export const PAGE_HOLE = 0
export const PAGE_FILL = 1
export const PAGE_RAW = 2
export const PAGE_COMPRESSED = 3
/** Set on PAGE_RAW and PAGE_COMPRESSED: the bytes are in the tier. */
export const PAGE_TIERED = 4
export const CODEC_NONE = 0
export const CODEC_LZ4 = 1
export const CODEC_ZSTD = 2
export const COMPRESSED_BYTES_MAX = 3072
export const PAGE_BYTES = 4096

/** The head of the `pages` file, and the region entries that follow it. */
export const PAGES_MAGIC = 'ZSLABMAP'
export const PAGES_VERSION = 3
export const PAGES_HEADER_BYTES = 64
export const PAGES_OWNER = 40
export const REGION_BYTES = 128
export const REGION_READY = 8
export const REGION_SPARE = 16
export const REGION_SLOT = 64

export const UBLK_F_SUPPORT_ZERO_COPY = 1 << 0
export const UBLK_F_URING_CMD_COMP_IN_TASK = 1 << 1
export const UBLK_F_NEED_GET_DATA = 1 << 2
export const UBLK_F_USER_RECOVERY = 1 << 3
export const UBLK_F_USER_RECOVERY_REISSUE = 1 << 4
export const UBLK_F_UNPRIVILEGED_DEV = 1 << 5
export const UBLK_F_CMD_IOCTL_ENCODE = 1 << 6
export const UBLK_F_USER_COPY = 1 << 7
export const UBLK_F_ZONED = 1 << 8
export const UBLK_F_USER_RECOVERY_FAIL_IO = 1 << 9
export const UBLK_F_UPDATE_SIZE = 1 << 10
export const UBLK_F_AUTO_BUF_REG = 1 << 11
export const UBLK_F_QUIESCE = 1 << 12
export const UBLK_F_PER_IO_DAEMON = 1 << 13

export const UBLK_S_DEV_DEAD = 0
export const UBLK_S_DEV_LIVE = 1
export const UBLK_S_DEV_QUIESCED = 2
export const UBLK_S_DEV_FAIL_IO = 3

export const UBLK_MAX_QUEUE_DEPTH = 4096
export const UBLK_ATTR_VOLATILE_CACHE = 1 << 2
export const UBLK_ATTR_FUA = 1 << 3
export const UBLK_PARAM_TYPE_BASIC = 1 << 0
export const UBLK_PARAM_TYPE_DISCARD = 1 << 1
export const UBLK_PARAM_TYPE_ZONED = 1 << 3

/** Control commands, ioctl-encoded. */
export const UBLK_U_CMD_GET_DEV_INFO = 0x80207502
export const UBLK_U_CMD_ADD_DEV = 0xc0207504
export const UBLK_U_CMD_DEL_DEV = 0xc0207505
export const UBLK_U_CMD_START_DEV = 0xc0207506
export const UBLK_U_CMD_STOP_DEV = 0xc0207507
export const UBLK_U_CMD_SET_PARAMS = 0xc0207508
export const UBLK_U_CMD_START_USER_RECOVERY = 0xc0207510
export const UBLK_U_CMD_END_USER_RECOVERY = 0xc0207511
export const UBLK_U_CMD_GET_FEATURES = 0x80207513
export const UBLK_U_CMD_DEL_DEV_ASYNC = 0x80207514
export const UBLK_U_CMD_QUIESCE_DEV = 0xc0207516

/** struct ublksrv_ctrl_dev_info: byte offsets. */
export const DEV_INFO_BYTES = 64
export const DEV_INFO_NR_HW_QUEUES = 0
export const DEV_INFO_QUEUE_DEPTH = 2
export const DEV_INFO_STATE = 4
export const DEV_INFO_MAX_IO_BUF_BYTES = 8
export const DEV_INFO_DEV_ID = 12
export const DEV_INFO_UBLKSRV_PID = 16
export const DEV_INFO_FLAGS = 24

/** struct ublk_params: byte offsets (fixed: absent parts are zeros, never packed). */
export const PARAMS_BYTES = 152
export const PARAMS_LEN = 0
export const PARAMS_TYPES = 4
export const PARAMS_ATTRS = 8
export const PARAMS_LOGICAL_BS_SHIFT = 12
export const PARAMS_PHYSICAL_BS_SHIFT = 13
export const PARAMS_IO_OPT_SHIFT = 14
export const PARAMS_IO_MIN_SHIFT = 15
export const PARAMS_MAX_SECTORS = 16
export const PARAMS_CHUNK_SECTORS = 20
export const PARAMS_DEV_SECTORS = 24
export const PARAMS_DISCARD_GRANULARITY = 44
export const PARAMS_MAX_DISCARD_SECTORS = 48
export const PARAMS_MAX_WRITE_ZEROES_SECTORS = 52
export const PARAMS_MAX_DISCARD_SEGMENTS = 56
export const PARAMS_MAX_OPEN_ZONES = 76
export const PARAMS_MAX_ACTIVE_ZONES = 80
export const PARAMS_MAX_ZONE_APPEND_SECTORS = 84

/** Every number above by its name that C++ knows too: what the addon's LAYOUT must say. */
export const EXPECTED_LAYOUT: Readonly<Record<string, number>> = {
  COMMAND_WORDS,
  COMMAND_COMMIT,
  COMMAND_WRITE,
  COMMAND_READ,
  COMMAND_DISCARD,
  COMMAND_FLUSH,
  COMMAND_APPEND_BIT,
  TAG_FAILED,
  DESCRIPTOR_WORDS,
  PARITY_SHIFT,
  STAMP_BIT,
  PAGE_HOLE,
  PAGE_FILL,
  PAGE_RAW,
  PAGE_COMPRESSED,
  PAGE_TIERED,
  CODEC_NONE,
  CODEC_LZ4,
  CODEC_ZSTD,
  COMPRESSED_BYTES_MAX,
  PAGE_BYTES,
  PAGES_VERSION,
  PAGES_HEADER_BYTES,
  PAGES_OWNER,
  REGION_BYTES,
  REGION_READY,
  REGION_SPARE,
  REGION_SLOT,
  UBLK_MAX_QUEUE_DEPTH,
  DEV_INFO_BYTES,
  DEV_INFO_NR_HW_QUEUES,
  DEV_INFO_QUEUE_DEPTH,
  DEV_INFO_STATE,
  DEV_INFO_MAX_IO_BUF_BYTES,
  DEV_INFO_DEV_ID,
  DEV_INFO_UBLKSRV_PID,
  DEV_INFO_FLAGS,
  PARAMS_BYTES,
  PARAMS_LEN,
  PARAMS_TYPES,
  PARAMS_ATTRS,
  PARAMS_LOGICAL_BS_SHIFT,
  PARAMS_PHYSICAL_BS_SHIFT,
  PARAMS_IO_OPT_SHIFT,
  PARAMS_IO_MIN_SHIFT,
  PARAMS_MAX_SECTORS,
  PARAMS_CHUNK_SECTORS,
  PARAMS_DEV_SECTORS,
  PARAMS_DISCARD_GRANULARITY,
  PARAMS_MAX_DISCARD_SECTORS,
  PARAMS_MAX_WRITE_ZEROES_SECTORS,
  PARAMS_MAX_DISCARD_SEGMENTS,
  PARAMS_MAX_OPEN_ZONES,
  PARAMS_MAX_ACTIVE_ZONES,
  PARAMS_MAX_ZONE_APPEND_SECTORS,
}

/** Throws Error when the addon was compiled from other numbers: it is stale, or one side was changed alone. */
export function assertLayout(layout: Readonly<Record<string, number>>): void {
  const names = new Set([...Object.keys(EXPECTED_LAYOUT), ...Object.keys(layout)])
  const wrong = [...names].filter(name => EXPECTED_LAYOUT[name] !== layout[name])
  if (wrong.length === 0) return
  const list = wrong.map(name => `${name} ${layout[name]} instead of ${EXPECTED_LAYOUT[name]}`)
  throw new Error(`the addon does not match layout.ts (${list.join(', ')}): run npm run build`)
}
