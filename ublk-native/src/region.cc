// Memory for regions that are written in order: taken by a cursor, given back when the region is emptied.
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "media.h"

namespace ublk {
namespace {

// Memory is reserved so much at a time: few system calls, and at most so much too much for each region.
constexpr uint64_t CHUNK_BYTES = 64 * 1024;
// Positions are multiples of a word.
constexpr uint64_t ALIGNMENT = 8;
// The cursor of an empty region while its memory is given back.
constexpr uint64_t CURSOR_HELD = UINT64_MAX;
constexpr int POPULATE_WRITE = 23;  // MADV_POPULATE_WRITE, Linux 5.14; older C libraries do not name it

// Who changes how much memory a region has. Not in the files: a lock there would stay taken after SIGKILL.
std::mutex memoryLock;

bool trade(uint64_t* at, uint64_t from, uint64_t to) {
  return __atomic_compare_exchange_n(at, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

}  // namespace

uint64_t Media::positionOf(uint64_t page) const {
  const uint64_t offset = page << PAGE_SHIFT;
  if (isInPlace(offset)) return offset;
  // A word that points past the end is damage, not a place: any page will do, as long as it is one.
  return std::min(word(page) & POSITION_MASK, dataBytes_ - PAGE_BYTES);
}

// Take `length` bytes of a region. Returns 0, -ENOSPC, or what making room said.
int Media::reserve(uint64_t index, uint64_t length, uint64_t* position) {
  Region& region = regions_[index];
  const uint64_t wanted = roundUp(length, ALIGNMENT);
  uint64_t from = load64(&region.cursor);
  for (;;) {
    if (from == CURSOR_HELD) {
      sched_yield();
      from = load64(&region.cursor);
      continue;
    }
    // Only writes that failed or came twice can use a region up before its pages are: each takes its place again.
    if (from + wanted > stride_) return -ENOSPC;
    if (__atomic_compare_exchange_n(&region.cursor, &from, from + wanted, true, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED))
      break;
  }
  if (load64(&region.spare) != 0) dropSpare(region);
  *position = baseOf(index) + from;
  if (from + wanted <= __atomic_load_n(&region.ready, __ATOMIC_ACQUIRE)) return 0;
  const int full = extend(index, from + wanted);
  if (full != 0) trade(&region.cursor, from + wanted, from);
  return full;
}

// Of `taken` bytes at `position` only the first `kept` are used: the rest can be taken again, if nobody has come after.
void Media::giveBack(uint64_t index, uint64_t position, uint64_t kept, uint64_t taken) {
  const uint64_t from = position - baseOf(index);
  trade(&regions_[index].cursor, from + roundUp(taken, ALIGNMENT), from + roundUp(kept, ALIGNMENT));
}

void Media::dropSpare(Region& region) {
  const uint64_t spare = __atomic_exchange_n(&region.spare, 0, __ATOMIC_ACQ_REL);
  __atomic_fetch_sub(&header_->spareBytes, static_cast<int64_t>(spare), __ATOMIC_RELAXED);
}

// A file system that cannot reserve gets zeros written: as safe, only slower.
int Media::makeReady(uint64_t position, uint64_t length) {
  const int full = allocate(dataFd_, position, length);
  if (full == 0) {
    // So that the kernel, which copies into it, need not take a fault for each page. Advice: it may fail.
    if (!durable_) madvise(data_.bytes + position, length, POPULATE_WRITE);
    return 0;
  }
  if (full != -EOPNOTSUPP) return full;
  for (uint64_t at = 0; at < length; at += PAGE_BYTES)
    if (const int bad = writeAll(dataFd_, ZERO_PAGE, PAGE_BYTES, position + at); bad != 0) return bad;
  return 0;
}

// Make the first `end` bytes of a region ready.
int Media::extend(uint64_t index, uint64_t end) {
  const std::lock_guard<std::mutex> turn(memoryLock);
  Region& region = regions_[index];
  const uint64_t ready = region.ready;
  if (ready >= end) return 0;
  const uint64_t plenty = std::min(roundUp(end, CHUNK_BYTES), stride_) - ready;
  const uint64_t enough = roundUp(end, PAGE_BYTES) - ready;
  for (const uint64_t length : {plenty, enough}) {
    for (int attempt = 0; attempt < 2; attempt++) {
      const int full = fits(length) ? makeReady(baseOf(index) + ready, length) : -ENOSPC;
      if (full == 0) {
        __atomic_fetch_add(&header_->usedBytes, static_cast<int64_t>(length), __ATOMIC_RELAXED);
        __atomic_store_n(&region.ready, ready + length, __ATOMIC_RELEASE);
        return 0;
      }
      if (full != -ENOSPC) return full;
      if (!giveBackSpareLocked()) break;
    }
  }
  return -ENOSPC;
}

// What an image's emptied regions have goes with the next commit.
bool Media::fits(uint64_t more) const {
  const uint64_t used = usedBytes() - (durable_ ? spareBytes() : 0);
  return options_.limitBytes == 0 || used + more <= options_.limitBytes;
}

// Whether `more` bytes may be used in place.
bool Media::hasRoom(uint64_t more) { return fits(more) || (giveBackSpare() && fits(more)); }

// Memory has run out: whether there was any to give back.
bool Media::giveBackSpare() {
  const std::lock_guard<std::mutex> turn(memoryLock);
  return giveBackSpareLocked();
}

bool Media::giveBackSpareLocked() {
  if (durable_ || spareBytes() == 0) return false;
  bool any = false;
  for (uint64_t index = 0; index < regionCount_; index++) any |= giveBackSpareOf(index);
  return any;
}

bool Media::giveBackSpareOf(uint64_t index) {
  Region& region = regions_[index];
  if (load64(&region.spare) == 0 || !trade(&region.cursor, 0, CURSOR_HELD)) return false;
  dropSpare(region);
  const uint64_t ready = region.ready;
  __atomic_store_n(&region.ready, 0, __ATOMIC_RELEASE);
  const bool given = punch(dataFd_, baseOf(index), ready) == 0;
  __atomic_fetch_sub(&header_->usedBytes, static_cast<int64_t>(ready), __ATOMIC_RELAXED);
  __atomic_store_n(&region.cursor, 0, __ATOMIC_RELEASE);
  return given;
}

int Media::trim(uint64_t offset, uint64_t length) {
  const std::lock_guard<std::mutex> turn(memoryLock);
  for (uint64_t at = offset; at < offset + length; at = regionEnd(at)) giveBackSpareOf(regionOf(at));
  return 0;
}

// The pages of a region are forgotten already: its memory goes back, but for what is kept for the next writes. With holes in
// it nothing is.
int Media::emptyRegion(uint64_t index) {
  const auto settled = disturb(index);
  const std::lock_guard<std::mutex> turn(memoryLock);
  Region& region = regions_[index];
  region.emptied++;
  dropSpare(region);
  const uint64_t ready = region.ready;
  // Of an image all of it stays until trim(), and the holes in it count as memory until then.
  const uint64_t holes = durable_ ? std::exchange(region.punched, 0) : 0;
  __atomic_fetch_add(&header_->usedBytes, static_cast<int64_t>(holes), __ATOMIC_RELAXED);
  const uint64_t others = spareBytes();
  const uint64_t limit = durable_ ? UINT64_MAX : options_.spareBytes;
  const uint64_t room = limit > others ? limit - others : 0;
  const uint64_t kept = region.punched != 0 ? 0 : std::min(ready, room) & ~PAGE_MASK;
  if (kept < ready) {
    __atomic_store_n(&region.ready, kept, __ATOMIC_RELEASE);
    if (const int failed = punch(dataFd_, baseOf(index) + kept, ready - kept); failed != 0) {
      __atomic_store_n(&region.ready, ready, __ATOMIC_RELEASE);
      return failed;
    }
    const uint64_t back = ready - kept - region.punched;
    __atomic_fetch_sub(&header_->usedBytes, static_cast<int64_t>(back), __ATOMIC_RELAXED);
    region.punched = 0;
  }
  __atomic_store_n(&region.spare, kept, __ATOMIC_RELEASE);
  __atomic_fetch_add(&header_->spareBytes, static_cast<int64_t>(kept), __ATOMIC_RELAXED);
  __atomic_store_n(&region.cursor, 0, __ATOMIC_RELEASE);
  return 0;
}

// What is behind a region's memory: who was reading a region that was emptied meanwhile has made it anew.
int Media::punchRest(uint64_t index) {
  const std::lock_guard<std::mutex> turn(memoryLock);
  const uint64_t ready = regions_[index].ready;
  return punch(dataFd_, baseOf(index) + ready, stride_ - ready);
}

int Media::allocateMap(uint64_t at) {
  const uint64_t length = std::min<uint64_t>(PAGE_BYTES, map_.length - at);
  const int full = allocate(pagesFd_, at, length);
  return full == -ENOSPC && giveBackSpare() ? allocate(pagesFd_, at, length) : full;
}

}  // namespace ublk
