// Ioctls of <linux/blkzoned.h> on a block device, for a process that is its client.
#include <fcntl.h>
#include <linux/blkzoned.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "napi-util.h"

namespace ublk {
namespace {

// As many descriptors as one ioctl is asked for.
constexpr size_t REPORT_CHUNK = 4096;

unsigned long requestOf(const std::string& op) {
  if (op == "open") return BLKOPENZONE;
  if (op == "close") return BLKCLOSEZONE;
  if (op == "finish") return BLKFINISHZONE;
  if (op == "reset") return BLKRESETZONE;
  return 0;
}

Outcome rangeIoctl(const std::string& path, const std::string& op, blk_zone_range range) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return {"open", -errno};
  const int result = ioctl(fd, requestOf(op), &range) < 0 ? -errno : 0;
  close(fd);
  return {op, result};
}

Outcome report(const std::string& path, uint64_t sector, size_t count) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {"open", -errno};
  std::vector<uint64_t> memory((sizeof(blk_zone_report) + REPORT_CHUNK * sizeof(blk_zone)) / 8);
  auto* head = reinterpret_cast<blk_zone_report*>(memory.data());
  size_t reported = 0;
  int result = 0;
  while (reported < count) {
    std::memset(head, 0, sizeof *head);
    head->sector = sector;
    head->nr_zones = static_cast<uint32_t>(std::min(count - reported, REPORT_CHUNK));
    result = ioctl(fd, BLKREPORTZONE, head) < 0 ? -errno : 0;
    if (result != 0 || head->nr_zones == 0) break;
    reported += head->nr_zones;
    const blk_zone& last = head->zones[head->nr_zones - 1];
    sector = last.start + last.len;
  }
  close(fd);
  return {"BLKREPORTZONE", result != 0 ? result : static_cast<int>(reported)};
}

// zoneIoctl(path, op, startSector, sectors): Promise<Outcome>
Napi::Value zoneIoctl(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string path = arguments.string(0);
  const std::string op = arguments.string(1);
  blk_zone_range range{};
  range.sector = static_cast<uint64_t>(arguments.integer(2));
  range.nr_sectors = static_cast<uint64_t>(arguments.integer(3));
  if (!arguments.ok()) return info.Env().Undefined();
  if (requestOf(op) == 0) return typeError(info.Env(), "unknown operation " + op);
  return Task::run(info.Env(), [=](std::vector<uint8_t>&) { return rangeIoctl(path, op, range); });
}

// reportZones(path, startSector, count): Promise<Outcome>
Napi::Value reportZones(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string path = arguments.string(0);
  const auto sector = static_cast<uint64_t>(arguments.integer(1));
  const auto count = static_cast<size_t>(arguments.integer(2, 0, INT32_MAX));
  if (!arguments.ok()) return info.Env().Undefined();
  return Task::run(info.Env(), [=](std::vector<uint8_t>&) { return report(path, sector, count); });
}

}  // namespace

void exportBlockDevice(Napi::Env env, Napi::Object exports) {
  exports.Set("zoneIoctl", Napi::Function::New<zoneIoctl>(env, "zoneIoctl"));
  exports.Set("reportZones", Napi::Function::New<reportZones>(env, "reportZones"));
}

}  // namespace ublk
