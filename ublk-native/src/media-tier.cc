// The tier: a file or block device that pages of regions go to, so that their memory comes back. Which pages, when and how
// fast is TypeScript's (daemon/tierer.ts); why a demotion cannot lose what is written meanwhile is in docs/BOUNDARY.md.
#include <fcntl.h>
#include <liburing.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>

#include "media.h"

namespace ublk {
namespace {

// So much moves in one call, and so much memory is given back at a time: others wait no longer than that takes.
constexpr uint64_t DEMOTE_BYTES = 1024 * 1024;
constexpr uint64_t PUNCH_BYTES = 1024 * 1024;
constexpr unsigned RING_ENTRIES = 32;

// Who takes away or changes what a page of a region has, and who says that it is in the tier, take turns.
std::mutex settleLocks[64];

struct Ring {
  io_uring ring{};
  const int opened = io_uring_queue_init(RING_ENTRIES, &ring, 0);
  ~Ring() {
    if (opened == 0) io_uring_queue_exit(&ring);
  }
};

}  // namespace

// Past the page cache where that is possible: it would take the memory that a tier is there to save.
int Media::openTier(std::string& problem) {
  const int flags = O_RDWR | O_CLOEXEC;
  tierFd_ = ::open(options_.tier.c_str(), flags | O_DIRECT);
  if (tierFd_ < 0 && errno == EINVAL) tierFd_ = ::open(options_.tier.c_str(), flags);
  problem = "the tier " + options_.tier;
  return tierFd_ < 0 ? -errno : 0;
}

// Hold the result while a page of the region loses or changes what it has: a demotion that is under way will then not count.
std::unique_lock<std::mutex> Media::disturb(uint64_t index) {
  if (tierFd_ < 0) return {};
  std::unique_lock<std::mutex> turn(settleLocks[index % std::size(settleLocks)]);
  regions_[index].epoch++;
  return turn;
}

// `shift`: from a position in `data` to one in the tier. Returns 0 or -errno.
int Media::writeTier(const std::vector<iovec>& runs, uint64_t shift) {
  Ring own;
  if (own.opened != 0) return own.opened;
  int failed = 0;
  size_t done = 0;
  for (size_t next = 0; done < runs.size();) {
    for (; next < runs.size() && next - done < RING_ENTRIES; next++) {
      io_uring_sqe* sqe = io_uring_get_sqe(&own.ring);
      const auto length = static_cast<unsigned>(runs[next].iov_len);
      const uint64_t from = static_cast<uint8_t*>(runs[next].iov_base) - data_.bytes;
      io_uring_prep_write(sqe, tierFd_, runs[next].iov_base, length, from + shift);
      sqe->user_data = next;
    }
    const int submitted = io_uring_submit_and_wait(&own.ring, 1);
    if (submitted < 0 && submitted != -EINTR && submitted != -EAGAIN) return submitted;
    for (io_uring_cqe* cqe; io_uring_peek_cqe(&own.ring, &cqe) == 0; done++) {
      const iovec& run = runs[cqe->user_data];
      const auto* bytes = static_cast<const uint8_t*>(run.iov_base);
      // In part or not at all: once more by itself, which says why.
      if (cqe->res != static_cast<int>(run.iov_len) && failed == 0)
        failed = writeAll(tierFd_, bytes, run.iov_len, bytes - data_.bytes + shift);
      io_uring_cqe_seen(&own.ring, cqe);
    }
  }
  return failed;
}

int Media::demote(uint64_t index, uint64_t slot, uint64_t end, unsigned kinds, Demotion& demotion) {
  const uint64_t first = index << regionShift_ >> PAGE_SHIFT;
  const uint64_t pages = options_.regionBytes >> PAGE_SHIFT;
  if (tierFd_ < 0 || index >= regionCount_ || isInPlace(first << PAGE_SHIFT) || end > pages)
    return -EINVAL;
  Region& region = regions_[index];
  if (slot == 0 || (load64(&region.slot) != slot && load64(&region.tieredPages) != 0)) return -EINVAL;
  const uint64_t base = baseOf(index);
  if (const int full = prepare(first << PAGE_SHIFT, options_.regionBytes); full != 0) return full;
  // What is counted is done: who changes something has the lock.
  std::unique_lock<std::mutex> turn(settleLocks[index % std::size(settleLocks)]);
  const uint64_t epoch = region.epoch;
  turn.unlock();
  std::vector<uint64_t> moving;
  std::vector<iovec> runs;
  for (; demotion.next < end && demotion.bytes < DEMOTE_BYTES; demotion.next++) {
    const uint64_t page = first + demotion.next;
    const uint8_t is = kind(page);
    if (is >= PAGE_TIERED || (is & PAGE_RAW) == 0 || (kinds >> is & 1) == 0) continue;
    // Whole blocks, as a drive wants them. What else is in them is not in the tier yet, or the same there.
    const uint64_t from = (positionOf(page) - base) & ~PAGE_MASK;
    const uint64_t to = roundUp(positionOf(page) - base + lengthOf(word(page)), PAGE_BYTES);
    if (to > stride_) continue;
    uint8_t* const at = data_.bytes + base + from;
    uint8_t* last = runs.empty() ? nullptr : static_cast<uint8_t*>(runs.back().iov_base);
    if (last != nullptr && at >= last && at <= last + runs.back().iov_len)
      runs.back().iov_len = std::max<size_t>(runs.back().iov_len, data_.bytes + base + to - last);
    else
      runs.push_back({at, to - from});
    moving.push_back(page);
    demotion.bytes += lengthOf(word(page));
  }
  if (moving.empty()) return 0;
  __atomic_store_n(&region.slot, slot, __ATOMIC_RELEASE);
  if (const int bad = writeTier(runs, slotAt(slot) - base); bad != 0) return bad;
  turn.lock();
  if (region.epoch != epoch) {
    punchRest(index);
    return -EAGAIN;
  }
  Tally tally(*this, first << PAGE_SHIFT);
  for (const uint64_t page : moving) setKind(page, kind(page) | PAGE_TIERED, tally);
  __atomic_fetch_add(&region.tierWrites, moving.size(), __ATOMIC_RELAXED);
  return 0;
}

// The blocks that hold nothing but what is in the tier. A position that is, is not taken again before the region is emptied.
int Media::release(uint64_t index) {
  Region& region = regions_[index];
  if (load64(&region.tieredPages) == 0) return 0;
  const uint64_t emptied = load64(&region.emptied);
  const uint64_t base = baseOf(index);
  std::vector<uint16_t> covered(stride_ / PAGE_BYTES + 1);
  const uint64_t first = index << regionShift_ >> PAGE_SHIFT;
  for (uint64_t page = first; page < first + (options_.regionBytes >> PAGE_SHIFT); page++) {
    if ((kind(page) & PAGE_TIERED) == 0) continue;
    uint64_t at = positionOf(page) - base;
    const uint64_t end = std::min(roundUp(at + lengthOf(word(page)), sizeof(uint64_t)), stride_);
    for (uint64_t next; at < end; at = next) {
      next = std::min(roundUp(at + 1, PAGE_BYTES), end);
      covered[at / PAGE_BYTES] += static_cast<uint16_t>(next - at);
    }
  }
  const auto isWhole = [&](uint64_t block) { return covered[block] >= PAGE_BYTES; };
  const auto whole = static_cast<uint64_t>(std::count_if(
      covered.begin(), covered.end(), [](uint16_t bytes) { return bytes >= PAGE_BYTES; }));
  for (uint64_t block = 0, end; block + 1 < covered.size(); block = end) {
    for (end = block + 1; isWhole(block) && isWhole(end) && end - block < PUNCH_BYTES / PAGE_BYTES;)
      end++;
    if (!isWhole(block)) continue;
    const std::lock_guard<std::mutex> turn(settleLocks[index % std::size(settleLocks)]);
    if (region.emptied != emptied) return 0;  // it may be written anew already
    const uint64_t counted = std::max(region.punched, whole * PAGE_BYTES);
    // Counted before they go, so that after SIGKILL no memory is believed to be there that is not.
    const auto more = static_cast<int64_t>(counted - std::exchange(region.punched, counted));
    if (more != 0) __atomic_fetch_sub(&header_->usedBytes, more, __ATOMIC_RELAXED);
    const uint64_t length = (end - block) * PAGE_BYTES;
    if (const int bad = punch(dataFd_, base + block * PAGE_BYTES, length); bad != 0) return bad;
  }
  return 0;
}

// Nothing is in the tier any more: what was there is thrown away, so that another region may have the slot.
int Media::dropSlot(uint64_t index) {
  Region& region = regions_[index];
  if (load64(&region.tieredPages) != 0) return -EBUSY;
  const uint64_t slot = __atomic_exchange_n(&region.slot, 0, __ATOMIC_ACQ_REL);
  uint64_t range[2] = {slotAt(slot), stride_};
  // Not a block device, or one that cannot: a file gives its blocks back, else the bytes stay, which nobody will read.
  if (slot == 0 || tierFd_ < 0 || ioctl(tierFd_, BLKDISCARD, range) == 0) return 0;
  return punch(tierFd_, range[0], range[1]);
}

bool Media::followsInTier(uint64_t page) const {
  return kind(page) == (PAGE_RAW | PAGE_TIERED) && word(page) == word(page - 1) + PAGE_BYTES &&
         regionOf(page << PAGE_SHIFT) == regionOf((page - 1) << PAGE_SHIFT);
}

uint64_t Media::inTier(uint64_t offset, uint64_t length) {
  if (((offset | length) & PAGE_MASK) != 0 || !contains(offset, length)) return NOWHERE;
  if (prepare(offset, length) != 0) return NOWHERE;
  const uint64_t first = pageOf(offset);
  if (kind(first) != (PAGE_RAW | PAGE_TIERED)) return NOWHERE;
  for (uint64_t page = first + 1; page < pageOf(offset + length); page++)
    if (!followsInTier(page)) return NOWHERE;
  const uint64_t index = regionOf(offset);
  const uint64_t slot = load64(&regions_[index].slot);
  const uint64_t from = positionOf(first) - baseOf(index);
  if (slot == 0 || (from & PAGE_MASK) != 0 || from + length > stride_) return NOWHERE;
  __atomic_fetch_add(&regions_[index].tierReads, length / PAGE_BYTES, __ATOMIC_RELAXED);
  return slotAt(slot) + from;
}

int Media::fetch(uint64_t page, uint64_t length, uint8_t* target) const {
  const uint64_t index = regionOf(page << PAGE_SHIFT);
  const uint64_t slot = load64(&regions_[index].slot);
  const uint64_t from = positionOf(page) - baseOf(index);
  if (tierFd_ < 0 || slot == 0 || from > stride_ || from + length > stride_) return -EIO;
  const uint64_t block = from & ~PAGE_MASK;
  const uint64_t end = roundUp(from + length, PAGE_BYTES);
  const int bad = readAll(tierFd_, target, end - block, slotAt(slot) + block);
  __atomic_fetch_add(&regions_[index].tierReads, roundUp(length, PAGE_BYTES) / PAGE_BYTES,
                     __ATOMIC_RELAXED);
  return bad != 0 ? bad : static_cast<int>(from - block);
}

}  // namespace ublk
