// The ublk driver's binary interface: names and numbers as in the kernel's include/uapi/linux/ublk_cmd.h, stated here so that
// the addon builds where the kernel's headers are older than the driver.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ublk {

// ioctl encoding of a command on either device: direction, size of its argument, type 'u', number.
constexpr uint32_t ioctlCode(uint32_t direction, uint32_t size, uint32_t number) {
  return direction << 30 | size << 16 | uint32_t{'u'} << 8 | number;
}
inline constexpr uint32_t DIRECTION_READ = 2;
inline constexpr uint32_t DIRECTION_READ_WRITE = 3;

struct ublksrv_ctrl_cmd {
  uint32_t dev_id;
  uint16_t queue_id;
  uint16_t len;
  uint64_t addr;
  uint64_t data[1];
  uint16_t dev_path_len;
  uint16_t pad;
  uint32_t reserved;
};
static_assert(sizeof(ublksrv_ctrl_cmd) == 32);

struct ublksrv_ctrl_dev_info {
  uint16_t nr_hw_queues;
  uint16_t queue_depth;
  uint16_t state;
  uint16_t io_desc_size;
  uint32_t max_io_buf_bytes;
  uint32_t dev_id;
  int32_t ublksrv_pid;
  uint32_t pad1;
  uint64_t flags;
  uint64_t ublksrv_flags;
  uint32_t owner_uid;
  uint32_t owner_gid;
  uint64_t reserved1;
  uint64_t reserved2;
};
static_assert(sizeof(ublksrv_ctrl_dev_info) == 64);
static_assert(offsetof(ublksrv_ctrl_dev_info, flags) == 24);

struct ublksrv_io_desc {
  uint32_t op_flags;
  uint32_t nr_sectors;
  uint64_t start_sector;
  uint64_t addr;
};
static_assert(sizeof(ublksrv_io_desc) == 24);

struct ublksrv_io_cmd {
  uint16_t q_id;
  uint16_t tag;
  int32_t result;
  uint64_t addr;  // zone_append_lba for the commit of an append; must be 0 for all else with UBLK_F_USER_COPY
};
static_assert(sizeof(ublksrv_io_cmd) == 16);

struct ublk_param_basic {
  uint32_t attrs;
  uint8_t logical_bs_shift;
  uint8_t physical_bs_shift;
  uint8_t io_opt_shift;
  uint8_t io_min_shift;
  uint32_t max_sectors;
  uint32_t chunk_sectors;
  uint64_t dev_sectors;
  uint64_t virt_boundary_mask;
};
static_assert(sizeof(ublk_param_basic) == 32);

struct ublk_param_discard {
  uint32_t discard_alignment;
  uint32_t discard_granularity;
  uint32_t max_discard_sectors;
  uint32_t max_write_zeroes_sectors;
  uint16_t max_discard_segments;
  uint16_t reserved0;
};
static_assert(sizeof(ublk_param_discard) == 20);

struct ublk_param_zoned {
  uint32_t max_open_zones;
  uint32_t max_active_zones;
  uint32_t max_zone_append_sectors;
  uint8_t reserved[20];
};
static_assert(sizeof(ublk_param_zoned) == 32);

struct ublk_params {
  uint32_t len;
  uint32_t types;
  ublk_param_basic basic;
  ublk_param_discard discard;
  uint32_t devt[4];
  ublk_param_zoned zoned;
  uint32_t dma[2];
  uint32_t pad;
  uint32_t seg[4];
  uint32_t integrity[4];
};
static_assert(sizeof(ublk_params) == 152);
static_assert(offsetof(ublk_params, discard) == 40 && offsetof(ublk_params, zoned) == 76);

inline constexpr uint32_t UBLK_U_CMD_GET_DEV_INFO = ioctlCode(DIRECTION_READ, 32, 0x02);
inline constexpr uint32_t UBLK_U_CMD_ADD_DEV = ioctlCode(DIRECTION_READ_WRITE, 32, 0x04);
inline constexpr uint32_t UBLK_U_CMD_DEL_DEV = ioctlCode(DIRECTION_READ_WRITE, 32, 0x05);
inline constexpr uint32_t UBLK_U_CMD_START_DEV = ioctlCode(DIRECTION_READ_WRITE, 32, 0x06);
inline constexpr uint32_t UBLK_U_CMD_STOP_DEV = ioctlCode(DIRECTION_READ_WRITE, 32, 0x07);
inline constexpr uint32_t UBLK_U_CMD_SET_PARAMS = ioctlCode(DIRECTION_READ_WRITE, 32, 0x08);
inline constexpr uint32_t UBLK_U_CMD_START_USER_RECOVERY = ioctlCode(DIRECTION_READ_WRITE, 32, 0x10);
inline constexpr uint32_t UBLK_U_CMD_END_USER_RECOVERY = ioctlCode(DIRECTION_READ_WRITE, 32, 0x11);
inline constexpr uint32_t UBLK_U_CMD_GET_FEATURES = ioctlCode(DIRECTION_READ, 32, 0x13);
inline constexpr uint32_t UBLK_U_CMD_DEL_DEV_ASYNC = ioctlCode(DIRECTION_READ, 32, 0x14);
inline constexpr uint32_t UBLK_U_CMD_QUIESCE_DEV = ioctlCode(DIRECTION_READ_WRITE, 32, 0x16);
inline constexpr uint32_t UBLK_U_IO_FETCH_REQ = ioctlCode(DIRECTION_READ_WRITE, 16, 0x20);
inline constexpr uint32_t UBLK_U_IO_COMMIT_AND_FETCH_REQ = ioctlCode(DIRECTION_READ_WRITE, 16, 0x21);
static_assert(UBLK_U_CMD_ADD_DEV == 0xc0207504 && UBLK_U_CMD_GET_FEATURES == 0x80207513);
static_assert(UBLK_U_IO_FETCH_REQ == 0xc0107520 && UBLK_U_IO_COMMIT_AND_FETCH_REQ == 0xc0107521);

inline constexpr uint64_t UBLK_F_SUPPORT_ZERO_COPY = 1 << 0;
inline constexpr uint64_t UBLK_F_URING_CMD_COMP_IN_TASK = 1 << 1;
inline constexpr uint64_t UBLK_F_NEED_GET_DATA = 1 << 2;
inline constexpr uint64_t UBLK_F_USER_RECOVERY = 1 << 3;
inline constexpr uint64_t UBLK_F_USER_RECOVERY_REISSUE = 1 << 4;
inline constexpr uint64_t UBLK_F_UNPRIVILEGED_DEV = 1 << 5;
inline constexpr uint64_t UBLK_F_CMD_IOCTL_ENCODE = 1 << 6;
inline constexpr uint64_t UBLK_F_USER_COPY = 1 << 7;
inline constexpr uint64_t UBLK_F_ZONED = 1 << 8;
inline constexpr uint64_t UBLK_F_USER_RECOVERY_FAIL_IO = 1 << 9;
inline constexpr uint64_t UBLK_F_UPDATE_SIZE = 1 << 10;
inline constexpr uint64_t UBLK_F_AUTO_BUF_REG = 1 << 11;
inline constexpr uint64_t UBLK_F_QUIESCE = 1 << 12;
inline constexpr uint64_t UBLK_F_PER_IO_DAEMON = 1 << 13;

inline constexpr uint32_t UBLK_S_DEV_DEAD = 0;
inline constexpr uint32_t UBLK_S_DEV_LIVE = 1;
inline constexpr uint32_t UBLK_S_DEV_QUIESCED = 2;
inline constexpr uint32_t UBLK_S_DEV_FAIL_IO = 3;

inline constexpr uint32_t UBLK_ATTR_VOLATILE_CACHE = 1 << 2;
inline constexpr uint32_t UBLK_ATTR_FUA = 1 << 3;
inline constexpr uint32_t UBLK_PARAM_TYPE_BASIC = 1 << 0;
inline constexpr uint32_t UBLK_PARAM_TYPE_DISCARD = 1 << 1;
inline constexpr uint32_t UBLK_PARAM_TYPE_ZONED = 1 << 3;

inline constexpr uint32_t UBLK_MAX_QUEUE_DEPTH = 4096;
inline constexpr uint32_t UBLK_MAX_NR_QUEUES = 4096;
inline constexpr uint32_t UBLK_MAX_IO_BYTES = 1U << 25;
inline constexpr int32_t UBLK_IO_RES_OK = 0;
inline constexpr uint32_t UBLK_TAG_OFF = 25;
inline constexpr uint32_t UBLK_QID_OFF = 41;
// A queue's descriptors are mapped at this stride, whatever its depth.
inline constexpr uint64_t QUEUE_MAP_STRIDE = UBLK_MAX_QUEUE_DEPTH * sizeof(ublksrv_io_desc);

// io_uring numbers that older liburing headers lack.
inline constexpr uint8_t OP_URING_CMD = 46;
inline constexpr uint32_t SETUP_SUBMIT_ALL = 1U << 7;
inline constexpr uint32_t SETUP_COOP_TASKRUN = 1U << 8;
inline constexpr uint32_t SETUP_SQE128 = 1U << 10;
inline constexpr uint32_t SETUP_SINGLE_ISSUER = 1U << 12;
inline constexpr uint32_t SETUP_DEFER_TASKRUN = 1U << 13;
inline constexpr uint8_t SQE_CQE_SKIP_SUCCESS = 1U << 6;
// Of an SQE for OP_URING_CMD: where the operation and its argument are.
inline constexpr size_t SQE_CMD_OP = 8;
inline constexpr size_t SQE_CMD = 48;

}  // namespace ublk
