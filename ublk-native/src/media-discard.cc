// Forgetting what a media holds.
#include <algorithm>
#include <cstring>

#include "media.h"

namespace ublk {
int Media::clearPart(uint64_t offset, size_t length, Tally& tally) {
  const uint64_t page = pageOf(offset);
  const uint8_t is = kind(page);
  if (is == PAGE_HOLE || (is == PAGE_FILL && word(page) == 0)) return 0;
  // It would be a hole for a moment, and of an image just that may become durable. Nobody has a right to zeros.
  if (durable_ && is != PAGE_RAW && !isInPlace(offset)) return 0;
  return storePart(offset, ZERO_PAGE, length, tally);
}

// The memory of what was taken last in an ordered region can be taken again (not of an image: it may be durable there).
int Media::forgetPages(uint64_t first, uint64_t end, Tally& tally) {
  const bool inPlace = isInPlace(first << PAGE_SHIFT);
  const auto settled = disturb(regionOf(first << PAGE_SHIFT));
  // The memory first: killed between the two, the pages are raw zeros, which is right as well.
  if (inPlace)
    if (const int bad = punch(dataFd_, first << PAGE_SHIFT, (end - first) << PAGE_SHIFT); bad != 0)
      return bad;
  for (uint64_t page = end; page > first;) {
    if (page % 8 == 0) {
      // Eight kinds at once while there is nothing to forget.
      while (page >= first + 8 && std::memcmp(&kinds_[page - 8], ZERO_PAGE, 8) == 0) page -= 8;
      if (page == first) break;
    }
    page--;
    const uint8_t was = kind(page);
    if (was == PAGE_HOLE) continue;
    setKind(page, PAGE_HOLE, tally);
    // That of a page in the tier may be punched any moment.
    if (!inPlace && was != PAGE_FILL && (was & PAGE_TIERED) == 0 && !durable_)
      giveBack(regionOf(page << PAGE_SHIFT), word(page) & POSITION_MASK, 0, lengthOf(word(page)));
  }
  return 0;
}

int Media::discardWithin(uint64_t offset, uint64_t length) {
  Tally tally(*this, offset);
  const uint64_t end = offset + length;
  const uint64_t firstWhole = (offset + PAGE_MASK) & ~PAGE_MASK;
  const uint64_t endWhole = end & ~PAGE_MASK;
  if (firstWhole > endWhole) return clearPart(offset, length, tally);
  if (offset < firstWhole)
    if (const int bad = clearPart(offset, firstWhole - offset, tally); bad != 0) return bad;
  if (endWhole < end)
    if (const int bad = clearPart(endWhole, end - endWhole, tally); bad != 0) return bad;
  return firstWhole == endWhole ? 0 : forgetPages(pageOf(firstWhole), pageOf(endWhole), tally);
}

int Media::discard(uint64_t offset, uint64_t length) {
  if (const int full = prepare(offset, length); full != 0) return full;
  while (length > 0) {
    const uint64_t part = std::min(length, regionEnd(offset) - offset);
    if (const int failed = discardWithin(offset, part); failed != 0) return failed;
    offset += part;
    length -= part;
  }
  return 0;
}

int Media::recycle(uint64_t offset, uint64_t length) {
  const uint64_t end = offset + length;
  if (const int failed = discard(offset, length); failed != 0) return failed;
  while (offset < end && regionEnd(offset) <= end) {
    const uint64_t next = regionEnd(offset);
    const bool whole = !isInPlace(offset) && next - offset == options_.regionBytes;
    if (whole)
      if (const int failed = emptyRegion(regionOf(offset)); failed != 0) return failed;
    offset = next;
  }
  return 0;
}

}  // namespace ublk
