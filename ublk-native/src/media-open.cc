// Opening a media: its two files, their header, and counting again after a process that was killed.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "media.h"

namespace ublk {
namespace {

constexpr uint64_t BYTES_MAX = uint64_t{1} << 52;
constexpr long TMPFS_MAGIC_NUMBER = 0x01021994;
static_assert(std::endian::native == std::endian::little, "the files are little-endian");

}  // namespace

uint64_t wordsOffset(uint64_t pages) { return sizeof(PagesHeader) + (pages + 7) / 8 * 8; }

int allocate(int fd, uint64_t offset, uint64_t length, int mode) {
  int result;
  do {
    result = fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(length));
  } while (result != 0 && errno == EINTR);
  return result == 0 || errno == EOPNOTSUPP ? 0 : -errno;
}

Media::~Media() {
  if (pagesFd_ >= 0) ::close(pagesFd_);
  if (dataFd_ >= 0) ::close(dataFd_);
}

int Media::open(const std::string* directory, uint64_t bytes, bool sameFill, uint64_t spareBytes,
                bool create, std::unique_ptr<Media>& media, std::string& problem) {
  std::unique_ptr<Media> made(new Media);
  made->bytes_ = bytes;
  made->pages_ = bytes >> PAGE_SHIFT;
  made->sameFill_ = sameFill;
  made->sparePagesMax_ = static_cast<int64_t>(spareBytes >> PAGE_SHIFT);
  if (bytes == 0 || (bytes & PAGE_MASK) != 0 || bytes > BYTES_MAX) {
    problem = "the size must be a multiple of 4096, and not 0";
    return -EINVAL;
  }
  if (directory == nullptr && !create) {
    problem = "anonymous memory cannot be opened again";
    return -EINVAL;
  }
  int result = made->openFiles(directory, create, problem);
  if (result == 0) result = made->map(create, problem);
  if (result == 0) media = std::move(made);
  return result;
}

int Media::openFiles(const std::string* directory, bool create, std::string& problem) {
  const auto openOne = [&](const char* name) {
    if (directory == nullptr) return memfd_create(name, MFD_CLOEXEC);
    const int flags = O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_TRUNC : 0);
    return ::open((*directory + "/" + name).c_str(), flags, 0600);
  };
  dataFd_ = openOne("data");
  if (dataFd_ < 0) {
    problem = "data";
    return -errno;
  }
  pagesFd_ = openOne("pages");
  if (pagesFd_ < 0) {
    problem = "pages";
    return -errno;
  }
  struct statfs where;
  durable_ = fstatfs(dataFd_, &where) != 0 || where.f_type != TMPFS_MAGIC_NUMBER;
  return 0;
}

int Media::map(bool create, std::string& problem) {
  const uint64_t wordsAt = wordsOffset(pages_);
  const uint64_t mapBytes = wordsAt + pages_ * sizeof(uint64_t);
  problem = "memory for the page map";
  if (create) {
    if (ftruncate(dataFd_, static_cast<off_t>(bytes_)) != 0) return -errno;
    if (ftruncate(pagesFd_, static_cast<off_t>(mapBytes)) != 0) return -errno;
    if (const int full = allocate(pagesFd_, 0, sizeof(PagesHeader)); full != 0) return full;
  } else {
    struct stat pages, data;
    if (fstat(pagesFd_, &pages) != 0 || fstat(dataFd_, &data) != 0) return -errno;
    if (pages.st_size < static_cast<off_t>(sizeof(PagesHeader))) {
      problem = "the file `pages` is not a page map (too short)";
      return -EINVAL;
    }
    PagesHeader head;
    if (const int bad = readAll(pagesFd_, reinterpret_cast<uint8_t*>(&head), sizeof head, 0); bad)
      return bad;
    header_ = &head;
    const int wrong = checkHeader(problem);
    header_ = nullptr;
    if (wrong != 0) return wrong;
    if (static_cast<uint64_t>(pages.st_size) != mapBytes ||
        static_cast<uint64_t>(data.st_size) != bytes_) {
      problem = "the files `pages` and `data` have been cut or grown";
      return -EINVAL;
    }
  }
  const int both = PROT_READ | PROT_WRITE;
  if (const int bad = map_.map(pagesFd_, mapBytes, both, MAP_SHARED | MAP_NORESERVE); bad) return bad;
  if (const int bad = data_.map(dataFd_, bytes_, both, MAP_SHARED | MAP_NORESERVE); bad) return bad;
  header_ = reinterpret_cast<PagesHeader*>(map_.bytes);
  kinds_ = map_.bytes + sizeof(PagesHeader);
  words_ = reinterpret_cast<uint64_t*>(map_.bytes + wordsAt);
  kindsReady_.resize(pages_ / PAGE_BYTES + 2);
  wordsReady_.resize(pages_ / WORDS_A_MAP_PAGE + 2);
  problem.clear();
  if (!create) return header_->owner == getpid() ? 0 : recount();
  header_->version = PAGES_VERSION;
  header_->pageBytes = PAGE_BYTES;
  header_->bytes = bytes_;
  header_->owner = getpid();
  __atomic_store_n(&header_->magic, PAGES_MAGIC, __ATOMIC_RELEASE);
  return 0;
}

int Media::checkHeader(std::string& problem) const {
  if (header_->magic != PAGES_MAGIC)
    problem = "the file `pages` is not a page map";
  else if (header_->version != PAGES_VERSION)
    problem = "the page map has version " + std::to_string(header_->version) + ", this program knows " +
              std::to_string(PAGES_VERSION);
  else if (header_->pageBytes != PAGE_BYTES)
    problem = "the page map is for pages of " + std::to_string(header_->pageBytes) + " bytes";
  else if (header_->bytes != bytes_)
    problem = "the media was made for " + std::to_string(header_->bytes) + " bytes, not " +
              std::to_string(bytes_);
  else
    return 0;
  return -EINVAL;
}

// A process that was killed may have changed a kind and not the counter: the first of the next process counts again.
int Media::recount() {
  int64_t raw = 0;
  int64_t fill = 0;
  int64_t spare = 0;
  const int failed = forEachKind([&](uint64_t page) {
    if (kinds_[page] == PAGE_CLAIMED) kinds_[page] = PAGE_SPARE;
    raw += kinds_[page] == PAGE_RAW;
    fill += kinds_[page] == PAGE_FILL;
    spare += kinds_[page] == PAGE_SPARE;
  });
  if (failed != 0) return failed;
  header_->rawPages = raw;
  header_->fillPages = fill;
  header_->sparePages = spare;
  header_->owner = getpid();
  return 0;
}

}  // namespace ublk
