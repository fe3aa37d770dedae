// The addon's entry: its exports, and LAYOUT, which layout.ts is compared with.
#include "fill-scan.h"
#include "layout.h"
#include "napi-util.h"
#include "queue-binding.h"
#include "ublk-abi.h"

namespace ublk {
namespace {

struct Constant {
  const char* name;
  uint64_t value;
};

#define SAME(name) {#name, name}
constexpr Constant LAYOUT[] = {
    SAME(COMMAND_WORDS),
    SAME(COMMAND_COMMIT),
    SAME(COMMAND_WRITE),
    SAME(COMMAND_READ),
    SAME(COMMAND_DISCARD),
    SAME(COMMAND_FLUSH),
    SAME(COMMAND_APPEND_BIT),
    SAME(TAG_FAILED),
    {"DESCRIPTOR_WORDS", sizeof(ublksrv_io_desc) / 4},
    SAME(PARITY_SHIFT),
    SAME(STAMP_BIT),
    SAME(PAGE_HOLE),
    SAME(PAGE_FILL),
    SAME(PAGE_RAW),
    SAME(PAGE_COMPRESSED),
    SAME(PAGE_TIERED),
    SAME(CODEC_NONE),
    SAME(CODEC_LZ4),
    SAME(CODEC_ZSTD),
    SAME(COMPRESSED_BYTES_MAX),
    SAME(PAGE_BYTES),
    SAME(PAGES_VERSION),
    {"PAGES_HEADER_BYTES", sizeof(PagesHeader)},
    {"PAGES_OWNER", offsetof(PagesHeader, owner)},
    {"REGION_BYTES", sizeof(Region)},
    {"REGION_READY", offsetof(Region, ready)},
    {"REGION_SPARE", offsetof(Region, spare)},
    {"REGION_SLOT", offsetof(Region, slot)},
    SAME(UBLK_MAX_QUEUE_DEPTH),
    {"DEV_INFO_BYTES", sizeof(ublksrv_ctrl_dev_info)},
    {"DEV_INFO_NR_HW_QUEUES", offsetof(ublksrv_ctrl_dev_info, nr_hw_queues)},
    {"DEV_INFO_QUEUE_DEPTH", offsetof(ublksrv_ctrl_dev_info, queue_depth)},
    {"DEV_INFO_STATE", offsetof(ublksrv_ctrl_dev_info, state)},
    {"DEV_INFO_MAX_IO_BUF_BYTES", offsetof(ublksrv_ctrl_dev_info, max_io_buf_bytes)},
    {"DEV_INFO_DEV_ID", offsetof(ublksrv_ctrl_dev_info, dev_id)},
    {"DEV_INFO_UBLKSRV_PID", offsetof(ublksrv_ctrl_dev_info, ublksrv_pid)},
    {"DEV_INFO_FLAGS", offsetof(ublksrv_ctrl_dev_info, flags)},
    {"PARAMS_BYTES", sizeof(ublk_params)},
    {"PARAMS_LEN", offsetof(ublk_params, len)},
    {"PARAMS_TYPES", offsetof(ublk_params, types)},
    {"PARAMS_ATTRS", offsetof(ublk_params, basic.attrs)},
    {"PARAMS_LOGICAL_BS_SHIFT", offsetof(ublk_params, basic.logical_bs_shift)},
    {"PARAMS_PHYSICAL_BS_SHIFT", offsetof(ublk_params, basic.physical_bs_shift)},
    {"PARAMS_IO_OPT_SHIFT", offsetof(ublk_params, basic.io_opt_shift)},
    {"PARAMS_IO_MIN_SHIFT", offsetof(ublk_params, basic.io_min_shift)},
    {"PARAMS_MAX_SECTORS", offsetof(ublk_params, basic.max_sectors)},
    {"PARAMS_CHUNK_SECTORS", offsetof(ublk_params, basic.chunk_sectors)},
    {"PARAMS_DEV_SECTORS", offsetof(ublk_params, basic.dev_sectors)},
    {"PARAMS_DISCARD_GRANULARITY", offsetof(ublk_params, discard.discard_granularity)},
    {"PARAMS_MAX_DISCARD_SECTORS", offsetof(ublk_params, discard.max_discard_sectors)},
    {"PARAMS_MAX_WRITE_ZEROES_SECTORS", offsetof(ublk_params, discard.max_write_zeroes_sectors)},
    {"PARAMS_MAX_DISCARD_SEGMENTS", offsetof(ublk_params, discard.max_discard_segments)},
    {"PARAMS_MAX_OPEN_ZONES", offsetof(ublk_params, zoned.max_open_zones)},
    {"PARAMS_MAX_ACTIVE_ZONES", offsetof(ublk_params, zoned.max_active_zones)},
    {"PARAMS_MAX_ZONE_APPEND_SECTORS", offsetof(ublk_params, zoned.max_zone_append_sectors)},
};
#undef SAME

Napi::Object init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new AddonState);
  Napi::Object layout = Napi::Object::New(env);
  for (const Constant& constant : LAYOUT)
    layout.Set(constant.name, static_cast<double>(constant.value));
  exports.Set("LAYOUT", layout);
  exportBench(env, exports);
  exportBlockDevice(env, exports);
  exportControl(env, exports);
  exportFileRing(env, exports);
  exportMedia(env, exports);
  exportQueue(env, exports);
  exportSharedMemory(env, exports);
  return exports;
}

NODE_API_MODULE(ublk, init)

}  // namespace
}  // namespace ublk
