// The ublk driver's binary interface: names and numbers as in the kernel's include/uapi/linux/ublk_cmd.h, stated here so that
// the addon builds where the kernel's headers are older than the driver. Only what C++ uses or lays out: the control commands and
// flags are numbers that pass through it (layout.ts).
#pragma once

#include <cstddef>
#include <cstdint>

namespace ublk {

// ioctl encoding of a command on either device: direction, size of its argument, type 'u', number.
constexpr uint32_t ioctlCode(uint32_t direction, uint32_t size, uint32_t number) {
  return direction << 30 | size << 16 | uint32_t{'u'} << 8 | number;
}
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

inline constexpr uint32_t UBLK_U_IO_FETCH_REQ = ioctlCode(DIRECTION_READ_WRITE, 16, 0x20);
inline constexpr uint32_t UBLK_U_IO_COMMIT_AND_FETCH_REQ = ioctlCode(DIRECTION_READ_WRITE, 16, 0x21);
inline constexpr uint32_t UBLK_U_IO_REGISTER_IO_BUF = ioctlCode(DIRECTION_READ_WRITE, 16, 0x23);
inline constexpr uint32_t UBLK_U_IO_UNREGISTER_IO_BUF = ioctlCode(DIRECTION_READ_WRITE, 16, 0x24);
static_assert(UBLK_U_IO_FETCH_REQ == 0xc0107520 && UBLK_U_IO_COMMIT_AND_FETCH_REQ == 0xc0107521);

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
