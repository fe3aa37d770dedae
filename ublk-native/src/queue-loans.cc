// Reads of the tier without a copy: the request's own pages are lent to the ring, and the tier's driver fills them.
// UBLK_U_IO_REGISTER_IO_BUF is of Linux 6.15 (drivers/block/ublk_drv.c). All loans of a turn end within it: whoever waits for the
// turn's end may count on that. What cannot be lent, or fails, is copied as everything else is, and that says what is wrong.
#include <cerrno>

#include "queue.h"

namespace ublk {
namespace {

constexpr uint64_t TAG_MASK = 0xffffffff;
// Among the ring's files, behind the char device.
constexpr int TIER_FILE = 1;
constexpr auto CHAIN = static_cast<uint8_t>(SQE_CQE_SKIP_SUCCESS | IOSQE_IO_LINK);

}  // namespace

void Queue::openLoans() {
#ifdef IORING_SETUP_SQE128
  if (options_.lends && fixedFile_ && io_uring_register_buffers_sparse(&ring_, options_.depth) == 0)
    loans_.assign(options_.depth, Loan::none);
#endif
}

// Where in the tier the bytes of a READ lie, whole and in one piece; or NOWHERE.
uint64_t Queue::lendable(const Command& command) {
  if (command.kind != COMMAND_READ) return NOWHERE;
  const uint64_t wanted = uint64_t{descriptors_[command.tag].nr_sectors} << 9;
  if (command.bytes == 0 || command.bytes != wanted || wanted > options_.maxIoBytes) return NOWHERE;
  return transfer_.media().inTier(command.mediaOffset(), wanted);
}

int Queue::startLoans(uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    const Command& command = commands_[i];
    const uint64_t at = lendable(command);
    if (at == NOWHERE) continue;
    io_uring_sqe* sqe = queueCommand(command.tag, UBLK_U_IO_REGISTER_IO_BUF, 0, command.tag);
    sqe->flags |= CHAIN;
    sqe->user_data = LEND | command.tag;
    sqe = nextSqe();
    const auto bytes = static_cast<uint32_t>(command.bytes);
    io_uring_prep_read_fixed(sqe, TIER_FILE, nullptr, bytes, at, static_cast<int>(command.tag));
    sqe->flags |= static_cast<uint8_t>(IOSQE_FIXED_FILE);
    sqe->user_data = LENT | command.tag;
    loans_[command.tag] = Loan::reading;
    reading_++;
  }
  return reading_ > 0 ? submitNow() : 0;
}

void Queue::onLoan(const io_uring_cqe& cqe) {
  const auto tag = static_cast<uint32_t>(cqe.user_data & TAG_MASK);
  if ((cqe.user_data & LEND) != 0) {
    loans_[tag] = Loan::refused;
  } else if ((cqe.user_data & LENT) != 0) {
    reading_--;
    const uint64_t wanted = uint64_t{descriptors_[tag].nr_sectors} << 9;
    const bool isWhole = cqe.res >= 0 && static_cast<uint64_t>(cqe.res) == wanted;
    if (loans_[tag] == Loan::reading) loans_[tag] = isWhole ? Loan::read : Loan::failed;
  } else if (failedResult_ == 0) {
    // The pages are still lent: the request would never end.
    failedTag_ = tag;
    failedResult_ = cqe.res;
  }
}

int Queue::settleLoans(uint32_t count, uint32_t& ready) {
  while (reading_ > 0) {
    const int submitted = io_uring_submit_and_wait(&ring_, 1);
    if (submitted < 0 && submitted != -EINTR && submitted != -EAGAIN && submitted != -EBUSY)
      return submitted;
    ready = reap(ready);
    if (failedResult_ != 0) return -EIO;
  }
  for (uint32_t i = 0; i < count; i++) {
    Command& command = commands_[i];
    const uint32_t tag = command.tag;
    const Loan loan = loans_[tag];
    if (loan == Loan::none) continue;
    loans_[tag] = Loan::none;
    if (loan != Loan::refused) {
      io_uring_sqe* sqe = queueCommand(tag, UBLK_U_IO_UNREGISTER_IO_BUF, 0, tag);
      sqe->flags |= static_cast<uint8_t>(SQE_CQE_SKIP_SUCCESS);
      sqe->user_data = RETURN | tag;
    }
    command.result = loan == Loan::read ? static_cast<int32_t>(command.bytes) : execute(command);
    states_[tag] = TagState::kernel;
    queueCommand(tag, UBLK_U_IO_COMMIT_AND_FETCH_REQ, command.result, 0);
  }
  return 0;
}

}  // namespace ublk
