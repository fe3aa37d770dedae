// Ioctls of <linux/blkzoned.h> and <linux/fs.h> on a block device, for a process that is its client.
#include <fcntl.h>
#include <linux/blkzoned.h>
#include <linux/fs.h>
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
  // These two count in bytes, the others in sectors.
  if (op == "discard") return BLKDISCARD;
  if (op == "write-zeroes") return BLKZEROOUT;
  return 0;
}

Outcome rangeIoctl(const std::string& path, const std::string& op, blk_zone_range range) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return {"open", -errno};
  const int result = ioctl(fd, requestOf(op), &range) < 0 ? -errno : 0;
  close(fd);
  return {op, result};
}

// `target`, if there is one, takes as many descriptors as fit.
Outcome report(const std::string& path, uint64_t sector, size_t count,
               std::vector<uint8_t>& target) {
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
    const size_t at = std::min(reported * sizeof(blk_zone), target.size());
    const size_t fits = std::min(head->nr_zones * sizeof(blk_zone), target.size() - at);
    if (fits > 0) std::memcpy(target.data() + at, head->zones, fits);
    reported += head->nr_zones;
    const blk_zone& last = head->zones[head->nr_zones - 1];
    sector = last.start + last.len;
  }
  close(fd);
  return {"BLKREPORTZONE", result != 0 ? result : static_cast<int>(reported)};
}

// zoneIoctl(path, op, start, length): Promise<Outcome>
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

// reportZones(path, startSector, count, target | null): Promise<Outcome>
Napi::Value reportZones(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string path = arguments.string(0);
  const auto sector = static_cast<uint64_t>(arguments.integer(1));
  const auto count = static_cast<size_t>(arguments.integer(2, 0, INT32_MAX));
  const Napi::Uint8Array target = arguments.isNull(3) ? Napi::Uint8Array() : arguments.bytes(3);
  if (!arguments.ok()) return info.Env().Undefined();
  const auto work = [=](std::vector<uint8_t>& copy) { return report(path, sector, count, copy); };
  return Task::run(info.Env(), work, target);
}

}  // namespace

void exportBlockDevice(Napi::Env env, Napi::Object exports) {
  exports.Set("zoneIoctl", Napi::Function::New<zoneIoctl>(env, "zoneIoctl"));
  exports.Set("reportZones", Napi::Function::New<reportZones>(env, "reportZones"));
}

}  // namespace ublk
