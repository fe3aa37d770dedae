#include "queue.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

namespace ublk {
namespace {

constexpr uint64_t KICK_FOR_EVER = uint64_t{1} << 32;
constexpr uint32_t MARK_BYTES = 8;

// What the descriptor of a fake queue says that the kernel should answer: see QueueOptions in queue.ts.
constexpr uint32_t FAKE_KEEP = 0xffffffff;
constexpr uint32_t FAKE_ABORT = 0xfffffffe;
constexpr uint32_t FAKE_REFUSE = 0xfffffffd;

size_t roundUpToPage(size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

double nowUs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

}  // namespace

int Queue::open(const QueueOptions& options, const char** syscall) {
  options_ = options;
  states_.assign(options.depth, TagState::kernel);
  *syscall = "mmap buffers";
  int bad = transfer_.open(options.charFd, options.media, options.maxIoBytes);
  if (bad == 0) bad = mapDescriptors(syscall);
  if (bad == 0) bad = openEvents(syscall);
  if (bad == 0) bad = openRing(syscall);
  if (bad != 0) close();
  return bad;
}

int Queue::mapDescriptors(const char** syscall) {
  *syscall = "mmap descriptors";
  const size_t length = roundUpToPage(options_.depth * sizeof(ublksrv_io_desc));
  const bool fake = options_.fakeDescriptorsFd >= 0;
  const int fd = fake ? options_.fakeDescriptorsFd : options_.charFd;
  const int protection = fake ? PROT_READ | PROT_WRITE : PROT_READ;
  const uint64_t offset = fake ? 0 : options_.queueId * QUEUE_MAP_STRIDE;
  const int bad = descriptorsMap_.map(fd, length, protection, MAP_SHARED | MAP_POPULATE, offset);
  if (bad != 0) return bad;
  descriptors_ = reinterpret_cast<const ublksrv_io_desc*>(descriptorsMap_.bytes);
  if (fake) fake_ = reinterpret_cast<ublksrv_io_desc*>(descriptorsMap_.bytes);
  return 0;
}

int Queue::openEvents(const char** syscall) {
  *syscall = "eventfd";
  kickFd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (kickFd_ < 0) return -errno;
  // Always readable, and a read gives 1: a mark.
  markFd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
  if (markFd_ < 0) return -errno;
  const uint64_t plenty = uint64_t{1} << 62;
  return write(markFd_, &plenty, sizeof plenty) == sizeof plenty ? 0 : -errno;
}

int Queue::openRing(const char** syscall) {
  *syscall = "io_uring_setup";
  // Room for a turn at its largest: every tag (twice when its pages are lent), a mark, a poll. So the submission queue is not full.
  const uint32_t entries = options_.depth * (options_.lends ? 2 : 1) + 2;
  const uint32_t wishes[] = {
      SETUP_SUBMIT_ALL | SETUP_COOP_TASKRUN | SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN,
      SETUP_SUBMIT_ALL | SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN,
      SETUP_SUBMIT_ALL | SETUP_COOP_TASKRUN,
      0,
  };
  int bad = -EINVAL;
  for (const uint32_t flags : wishes) {
    io_uring_params params{};
    params.flags = flags;
    bad = io_uring_queue_init_params(entries, &ring_, &params);
    if (bad != -EINVAL) break;
  }
  if (bad != 0) return bad;
  ringOpen_ = true;
  const int files[] = {options_.charFd, options_.media->tierFd()};
  if (fake_ == nullptr)
    fixedFile_ = io_uring_register_files(&ring_, files, 2) == 0;
  openLoans();
#ifdef IORING_SETUP_SQE128
  io_uring_register_ring_fd(&ring_);  // saves a look-up a turn; liburing 2.2; as well without
#endif
  return 0;
}

void Queue::bind(uint16_t* tags, Command* commands, const uint8_t* stage, double* clock) {
  tags_ = tags;
  commands_ = commands;
  stage_ = stage;
  clock_ = clock;
}

void Queue::close() {
  if (ringOpen_) io_uring_queue_exit(&ring_);
  ringOpen_ = false;
  descriptorsMap_.unmap();
  descriptors_ = nullptr;
  fake_ = nullptr;
  if (kickFd_ >= 0) ::close(kickFd_);
  if (markFd_ >= 0) ::close(markFd_);
  kickFd_ = -1;
  markFd_ = -1;
  transfer_ = Transfer();
  options_.media.reset();
}

uint64_t Queue::position(uint32_t tag) const {
  return options_.userCopyBase + (uint64_t{options_.queueId} << UBLK_QID_OFF) +
         (uint64_t{tag} << UBLK_TAG_OFF);
}

io_uring_sqe* Queue::nextSqe() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  while (sqe == nullptr) {
    io_uring_submit(&ring_);
    sqe = io_uring_get_sqe(&ring_);
  }
  std::memset(static_cast<void*>(sqe), 0, sizeof *sqe);
  return sqe;
}

io_uring_sqe* Queue::queueCommand(uint32_t tag, uint32_t op, int32_t result, uint64_t addr) {
  io_uring_sqe* sqe = nextSqe();
  sqe->user_data = tag;
  if (fake_ != nullptr) {
    sqe->opcode = IORING_OP_NOP;
    if (op == UBLK_U_IO_COMMIT_AND_FETCH_REQ)
      fake_[tag].addr = static_cast<uint32_t>(result) | addr << 32;
    return sqe;
  }
  sqe->opcode = OP_URING_CMD;
  sqe->fd = fixedFile_ ? 0 : options_.charFd;
  sqe->flags = fixedFile_ ? static_cast<uint8_t>(IOSQE_FIXED_FILE) : uint8_t{0};
  const ublksrv_io_cmd command{options_.queueId, static_cast<uint16_t>(tag), result, addr};
  auto* bytes = reinterpret_cast<uint8_t*>(sqe);
  std::memcpy(bytes + SQE_CMD_OP, &op, sizeof op);
  std::memcpy(bytes + SQE_CMD, &command, sizeof command);
  return sqe;
}

void Queue::queueFetches() {
  queueKickPoll();
  for (uint32_t tag = 0; tag < options_.depth; tag++)
    queueCommand(tag, UBLK_U_IO_FETCH_REQ, 0, 0);
  fetched_ = true;
}

void Queue::queueMark(uint32_t parity) {
  io_uring_sqe* sqe = nextSqe();
  io_uring_prep_read(sqe, markFd_, options_.marks[parity], MARK_BYTES, 0);
  sqe->flags |= SQE_CQE_SKIP_SUCCESS;  // else the mark itself would end the wait
  sqe->user_data = MARK;
}

void Queue::queueKickPoll() {
  io_uring_sqe* sqe = nextSqe();
  io_uring_prep_poll_multishot(sqe, kickFd_, POLLIN);
  sqe->user_data = KICK;
}

// Every command of a turn is looked at before any is executed: a wrong one is a bug, and nothing of the turn happens.
bool Queue::admit(uint32_t count) {
  if (count > options_.depth) return false;
  for (uint32_t i = 0; i < count; i++) {
    const Command& command = commands_[i];
    const uint32_t kind = command.kind & ~COMMAND_APPEND_BIT;
    const bool append = (command.kind & COMMAND_APPEND_BIT) != 0;
    if (kind > COMMAND_FLUSH) return false;
    if (append && kind != COMMAND_WRITE && kind != COMMAND_COMMIT) return false;
    if (command.tag >= options_.depth || states_[command.tag] != TagState::delivered) return false;
    states_[command.tag] = TagState::executed;
  }
  return true;
}

int32_t Queue::execute(const Command& command) {
  const uint32_t kind = command.kind & ~COMMAND_APPEND_BIT;
  if (kind == COMMAND_COMMIT) return command.result;
  Media& media = transfer_.media();
  if (kind == COMMAND_FLUSH) return media.flush();
  const uint64_t offset = command.mediaOffset();
  if (!media.contains(offset, command.bytes)) return -EINVAL;
  if (kind == COMMAND_DISCARD) return media.discard(offset, command.bytes);
  // The length of the request is the kernel's word, not TypeScript's.
  const uint64_t wanted = uint64_t{descriptors_[command.tag].nr_sectors} << 9;
  if (command.bytes == 0 || command.bytes > wanted || wanted > options_.maxIoBytes) return -EINVAL;
  if (kind == COMMAND_WRITE)
    return transfer_.intoMedia(position(command.tag), offset, command.bytes);
  return transfer_.outOfMedia(position(command.tag), offset, command.bytes,
                              static_cast<uint32_t>(wanted));
}

int Queue::turn(uint32_t count, uint32_t parity, bool stamp) {
  if (!ringOpen_) return -EBADF;
  if (failedResult_ != 0) return -EIO;
  if (parity > 1 || !admit(count)) return -EFAULT;
  if (!fetched_) queueFetches();
  uint32_t ready = 0;
  bool appended = false;
  if (!loans_.empty())
    if (const int bad = startLoans(count); bad != 0) return bad;
  for (uint32_t i = 0; i < count; i++) {
    Command& command = commands_[i];
    if (!loans_.empty() && loans_[command.tag] != Loan::none) continue;
    const int32_t ordered = command.result;  // below 0 with a WRITE: what to commit when its bytes are stored
    command.result = execute(command);
    const bool append = (command.kind & COMMAND_APPEND_BIT) != 0;
    const bool write = (command.kind & ~COMMAND_APPEND_BIT) == COMMAND_WRITE;
    appended |= append;
    if (command.result < 0 && write) {
      // ready <= i: this does not overwrite a command that is still to come, tags being an array of its own.
      states_[command.tag] = TagState::delivered;
      tags_[ready++] = static_cast<uint16_t>(command.tag | TAG_FAILED);
      continue;
    }
    if (ordered < 0 && write) command.result = ordered;
    states_[command.tag] = TagState::kernel;
    const uint64_t address = append ? command.lba() : 0;
    queueCommand(command.tag, UBLK_U_IO_COMMIT_AND_FETCH_REQ, command.result, address);
  }
  if (appended) queueMark(parity);
  if (!loans_.empty())
    if (const int bad = settleLoans(count, ready); bad != 0) return bad;
  if (!stamp) return wait(ready);
  clock_[0] = nowUs();
  const int delivered = wait(ready);
  clock_[1] = nowUs();
  return delivered;
}

// Hand everything over, without waiting.
int Queue::submitNow() {
  while (io_uring_sq_ready(&ring_) > 0) {
    const int submitted = io_uring_submit(&ring_);
    if (submitted < 0 && submitted != -EINTR && submitted != -EAGAIN) return submitted;
  }
  return 0;
}

int Queue::wait(uint32_t ready) {
  if (kicked_ || ready > 0) {
    if (const int bad = submitNow(); bad != 0) return bad;
    if (ready > 0) return static_cast<int>(ready);
    kicked_ = kickedForEver_;
    return 0;
  }
  for (;;) {
    if (goneCount_ == options_.depth) return -ENODEV;
    const bool timed = wakeUs_ != 0;
    const int submitted = timed ? submitAndWaitUs() : io_uring_submit_and_wait(&ring_, 1);
    if (submitted < 0 && submitted != -EINTR && submitted != -EAGAIN && submitted != -EBUSY &&
        submitted != -ETIME)
      return submitted;
    ready = reap(0);
    if (failedResult_ != 0) return -EIO;
    if (ready > 0) return static_cast<int>(ready);
    if (kicked_ || timed) {
      if (const int bad = submitNow(); bad != 0) return bad;
      kicked_ = kickedForEver_;
      return 0;
    }
  }
}

// Whoever asked to be woken knows what time it is: any end of this wait is an answer.
int Queue::submitAndWaitUs() {
  __kernel_timespec time{wakeUs_ / 1'000'000, wakeUs_ % 1'000'000 * 1000};
  wakeUs_ = 0;
  io_uring_cqe* cqe;
  return io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, &time, nullptr);
}

uint32_t Queue::reap(uint32_t ready) {
  unsigned head;
  unsigned seen = 0;
  io_uring_cqe* cqe;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    seen++;
    if (cqe->user_data == KICK) {
      onKick(*cqe);
    } else if ((cqe->user_data & LOAN_MASK) != 0) {
      onLoan(*cqe);
    } else if (cqe->user_data == MARK) {
      // Without its mark a crash could apply an append twice.
      if (cqe->res < 0 && failedResult_ == 0) {
        failedTag_ = UINT32_MAX;
        failedResult_ = cqe->res;
      }
    } else {
      const auto tag = static_cast<uint32_t>(cqe->user_data);
      onTag(tag, fake_ != nullptr ? fakeResult(tag) : cqe->res, ready);
    }
  }
  io_uring_cq_advance(&ring_, seen);
  return ready;
}

void Queue::onTag(uint32_t tag, int32_t result, uint32_t& ready) {
  if (fake_ != nullptr && result > 0) return;  // the fake keeps it
  if (result == UBLK_IO_RES_OK) {
    states_[tag] = TagState::delivered;
    tags_[ready++] = static_cast<uint16_t>(tag);
  } else if (result == -ENODEV) {
    states_[tag] = TagState::gone;
    goneCount_++;
  } else if (failedResult_ == 0) {
    failedTag_ = tag;
    failedResult_ = result < 0 ? result : -EPROTO;
  }
}

void Queue::onKick(const io_uring_cqe& cqe) {
  uint64_t kicks = 0;
  if (read(kickFd_, &kicks, sizeof kicks) == sizeof kicks) {
    kicked_ = true;
    kickedForEver_ |= kicks >= KICK_FOR_EVER;
  }
  if ((cqe.flags & IORING_CQE_F_MORE) == 0) queueKickPoll();
}

int Queue::supply(uint32_t tag, uint32_t bytes) {
  if (!ringOpen_) return -EBADF;
  if (tag >= options_.depth || states_[tag] != TagState::delivered) return -EINVAL;
  if (bytes == 0 || bytes > options_.maxIoBytes) return -EINVAL;
  for (;;) {
    const ssize_t put = pwrite(options_.charFd, stage_, bytes, static_cast<off_t>(position(tag)));
    if (put >= 0) return static_cast<int>(put);
    if (errno != EINTR) return -errno;
  }
}

int32_t Queue::fakeResult(uint32_t tag) const {
  switch (fake_[tag].op_flags) {
    case FAKE_KEEP:
      return 1;
    case FAKE_ABORT:
      return -ENODEV;
    case FAKE_REFUSE:
      return -EINVAL;
    default:
      return UBLK_IO_RES_OK;
  }
}

}  // namespace ublk
