// Opening a media: its two files, their header, and counting again after a process that was killed.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <string>

#include "media.h"

namespace ublk {
namespace {

constexpr uint64_t BYTES_MAX = uint64_t{1} << 52;
constexpr uint64_t SLACK_BYTES_MIN = 64 * 1024;
static_assert(std::endian::native == std::endian::little, "the files are little-endian");

}  // namespace

int allocate(int fd, uint64_t offset, uint64_t length, int mode) {
  int result;
  do {
    result = fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(length));
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : -errno;
}

Media::~Media() {
  if (tierFd_ >= 0) ::close(tierFd_);
  if (pagesFd_ >= 0) ::close(pagesFd_);
  if (dataFd_ >= 0) ::close(dataFd_);
}

// What the sizes are, and that they fit together.
int Media::checkSizes(std::string& problem) const {
  const uint64_t region = options_.regionBytes;
  const uint64_t inPlace = options_.inPlaceBytes;
  if (bytes() == 0 || (bytes() & PAGE_MASK) != 0 || bytes() > BYTES_MAX)
    problem = "the size must be a multiple of 4096, and not 0";
  else if (region != 0 && (!std::has_single_bit(region) || region < PAGE_BYTES || bytes() % region != 0))
    problem = "the region size must be a power of two that the size is a multiple of";
  else if (region != 0 && (inPlace % region != 0 || inPlace > bytes()))
    problem = "what is written in place must be whole regions";
  else if (options_.directory.empty() && !options_.create)
    problem = "anonymous memory cannot be opened again";
  else
    return 0;
  return -EINVAL;
}

int Media::open(const MediaOptions& options, std::unique_ptr<Media>& media, std::string& problem) {
  std::unique_ptr<Media> made(new Media);
  made->options_ = options;
  if (const int wrong = made->checkSizes(problem); wrong != 0) return wrong;
  const uint64_t region = options.regionBytes;
  if (region == 0) {
    made->options_.inPlaceBytes = options.bytes;
  } else {
    made->regionShift_ = static_cast<unsigned>(std::countr_zero(region));
    made->regionCount_ = options.bytes / region;
    // Room for writes that failed or came twice, whose places are not taken back: sparse, so it costs nothing.
    made->stride_ = region + std::max<uint64_t>(SLACK_BYTES_MIN, region / 16);
  }
  const uint64_t ordered = options.bytes - made->options_.inPlaceBytes;
  made->dataBytes_ = made->options_.inPlaceBytes +
                     (region == 0 ? 0 : ordered / region * made->stride_);
  const uint64_t pages = options.bytes >> PAGE_SHIFT;
  made->kindsAt_ = sizeof(PagesHeader) + made->regionCount_ * sizeof(Region);
  made->wordsAt_ = (made->kindsAt_ + pages + 7) / 8 * 8;
  problem = "compression";
  int result = made->codec_.open(options.codec, options.level);
  if (result == 0) result = made->openFiles(problem);
  if (result == 0 && !options.tier.empty()) result = made->openTier(problem);
  if (result == 0) result = made->map(problem);
  if (result == 0) media = std::move(made);
  return result;
}

int Media::openFiles(std::string& problem) {
  durable_ = !options_.dataDirectory.empty();
  const auto openOne = [&](const char* name, const std::string& directory) {
    if (directory.empty()) return memfd_create(name, MFD_CLOEXEC);
    const int flags = O_RDWR | O_CLOEXEC | (options_.create ? O_CREAT | O_TRUNC : 0);
    return ::open((directory + "/" + name).c_str(), flags, 0600);
  };
  dataFd_ = openOne("data", durable_ ? options_.dataDirectory : options_.directory);
  if (dataFd_ < 0) {
    problem = "data";
    return -errno;
  }
  pagesFd_ = openOne("pages", options_.directory);
  if (pagesFd_ < 0) {
    problem = "pages";
    return -errno;
  }
  if (!durable_) return 0;
  problem = "dirty";
  const uint64_t dirtyBytes = ((mapBytes() + PAGE_MASK) / PAGE_BYTES + 31) / 32 * sizeof(uint32_t);
  const char* call;
  const int fd = openShared(options_.directory + "/dirty", static_cast<int64_t>(dirtyBytes),
                            options_.create, &call);
  if (fd < 0) return fd;
  const int bad = dirty_.map(fd, dirtyBytes, PROT_READ | PROT_WRITE, MAP_SHARED);
  ::close(fd);
  return bad;
}

// That the files are those of this media, before anything of them is mapped.
int Media::checkFiles(std::string& problem) const {
  struct stat pages, data;
  if (fstat(pagesFd_, &pages) != 0 || fstat(dataFd_, &data) != 0) return -errno;
  if (pages.st_size < static_cast<off_t>(sizeof(PagesHeader))) {
    problem = "the file `pages` is not a page map (too short)";
    return -EINVAL;
  }
  PagesHeader head;
  if (const int bad = readAll(pagesFd_, reinterpret_cast<uint8_t*>(&head), sizeof head, 0); bad)
    return bad;
  if (const int wrong = checkHeader(head, problem); wrong != 0) return wrong;
  if (static_cast<uint64_t>(pages.st_size) == mapBytes() &&
      static_cast<uint64_t>(data.st_size) == dataBytes_)
    return 0;
  problem = "the files `pages` and `data` have been cut or grown";
  return -EINVAL;
}

int Media::map(std::string& problem) {
  problem = "memory for the page map";
  if (options_.create) {
    if (ftruncate(dataFd_, static_cast<off_t>(dataBytes_)) != 0) return -errno;
    if (ftruncate(pagesFd_, static_cast<off_t>(mapBytes())) != 0) return -errno;
    if (const int full = allocate(pagesFd_, 0, kindsAt_); full != 0) return full;
  } else if (const int wrong = checkFiles(problem); wrong != 0) {
    return wrong;
  }
  const int both = PROT_READ | PROT_WRITE;
  if (const int bad = map_.map(pagesFd_, mapBytes(), both, MAP_SHARED | MAP_NORESERVE); bad) return bad;
  if (const int bad = data_.map(dataFd_, dataBytes_, both, MAP_SHARED | MAP_NORESERVE); bad)
    return bad;
  // What is on a disk need not be in memory.
  if (durable_) munlock(data_.bytes, data_.length);
  header_ = reinterpret_cast<PagesHeader*>(map_.bytes);
  regions_ = reinterpret_cast<Region*>(map_.bytes + sizeof(PagesHeader));
  kinds_ = map_.bytes + kindsAt_;
  words_ = reinterpret_cast<uint64_t*>(map_.bytes + wordsAt_);
  kindsReady_.resize(mapBytes() / PAGE_BYTES + 1);
  wordsReady_.resize(mapBytes() / PAGE_BYTES + 1);
  problem.clear();
  if (!options_.create) return header_->owner == getpid() ? 0 : recount();
  header_->version = PAGES_VERSION;
  header_->codec = options_.codec;
  header_->bytes = bytes();
  header_->regionBytes = options_.regionBytes;
  header_->inPlaceBytes = options_.inPlaceBytes;
  header_->owner = getpid();
  __atomic_store_n(&header_->magic, PAGES_MAGIC, __ATOMIC_RELEASE);
  return 0;
}

int Media::checkHeader(const PagesHeader& header, std::string& problem) const {
  const auto differs = [&](const char* what, uint64_t there, uint64_t here) {
    problem = std::string("the media was made for ") + what + " " + std::to_string(there) +
              ", not " + std::to_string(here);
    return -EINVAL;
  };
  if (header.magic != PAGES_MAGIC) {
    problem = "the file `pages` is not a page map";
    return -EINVAL;
  }
  if (header.version != PAGES_VERSION) {
    problem = "the page map has version " + std::to_string(header.version) +
              ", this program knows " + std::to_string(PAGES_VERSION);
    return -EINVAL;
  }
  if (header.bytes != bytes()) return differs("a size of", header.bytes, bytes());
  if (header.regionBytes != options_.regionBytes)
    return differs("regions of", header.regionBytes, options_.regionBytes);
  if (header.inPlaceBytes != options_.inPlaceBytes)
    return differs("bytes in place:", header.inPlaceBytes, options_.inPlaceBytes);
  if (header.codec != options_.codec) return differs("compression", header.codec, options_.codec);
  return 0;
}

// A process that was killed may have changed a kind and not the counter: the first of the next process counts again.
int Media::recount() {
  int64_t used = 0;
  int64_t spare = 0;
  for (uint64_t index = 0; index < regionCount_; index++) {
    Region& region = regions_[index];
    // It was giving memory back.
    if (region.cursor == UINT64_MAX) region.cursor = region.ready = region.spare = 0;
    region.rawPages = region.fillPages = region.compressedPages = region.compressedBytes = 0;
    region.tieredPages = region.tieredBytes = 0;
    region.punched = std::min(region.punched, region.ready);
    // After a power cut there is memory that nobody knows of.
    if (durable_ && !isInPlace(index << regionShift_))
      punchRest(index);
    used += static_cast<int64_t>(region.ready - region.punched);
    spare += static_cast<int64_t>(region.spare);
  }
  header_->usedBytes = used;
  header_->spareBytes = spare;
  const off_t begin = static_cast<off_t>(kindsAt_);
  const off_t end = begin + static_cast<off_t>(bytes() >> PAGE_SHIFT);
  for (off_t at = begin; at < end;) {
    at = lseek(pagesFd_, at, SEEK_DATA);
    if (at < 0 && errno == ENXIO) break;
    if (at < 0) return -errno;
    const off_t hole = lseek(pagesFd_, at, SEEK_HOLE);
    if (hole < 0) return -errno;
    for (; at < std::min(hole, end); at++) {
      const auto page = static_cast<uint64_t>(at - begin);
      if (kinds_[page] == PAGE_HOLE) continue;
      Tally(*this, page << PAGE_SHIFT).count(kinds_[page], word(page), 1);
    }
  }
  // Of an image that was killed the last commit may point to what has moved since. After a power cut it cannot: owner 0.
  const bool mayRelease = !durable_ || header_->owner == 0;
  for (uint64_t index = 0; mayRelease && index < regionCount_; index++)
    if (const int failed = release(index); failed != 0) return failed;
  header_->owner = getpid();
  return 0;
}

}  // namespace ublk
