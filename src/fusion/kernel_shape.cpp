#include "src/fusion/kernel_shape.h"

#include <algorithm>

#include "src/fusion/index.h"
#include "taut/base/check.h"

namespace taut::fusion {
namespace {

constexpr int kFlatThreads = 256;
constexpr int kMostPack = 8;
// Of kernels with rows in shared memory. Every GPU has so much for a block, beside the sums.
constexpr int64_t kMostStagedBytes = 60 * 1024;
constexpr int kMostStagedRegisters = 96;
constexpr int64_t kMostStagedPacks = 8;
constexpr int kStagedThreads = 128;
constexpr int kMostStagedThreads = 256;

}  // namespace

std::string ShapeChooser::choose_shape(bool reduces_rows) {
  int64_t largest = 0;
  for (const Access& access : accesses_) {
    largest = std::max(largest, greatest(access.address, variables_));
  }
  is_wide_ = std::max(largest, rows_ * columns_) >= (int64_t{1} << 31) - (1 << 20);
  int pack = 1;
  for (const Access& access : accesses_) {
    const auto bytes = static_cast<int>(item_size(access.dtype));
    if (lane_of(access.address).factor == 1 && bytes > 1) {
      pack = std::max(pack, std::min(kMostPack, kPackBytes / bytes));
    }
  }
  while (pack > 1 && !can_pack(pack)) pack /= 2;
  shape_.pack = pack;
  if (kernel_->by_row) return choose_team(reduces_rows);
  shape_.team = shape_.threads = kFlatThreads;
  shape_.packs = 1;
  shape_.kept = false;
  return {};
}

bool ShapeChooser::can_pack(int pack) const {
  if (columns_ % pack != 0) return false;
  for (const Access& access : accesses_) {
    if (has_quotient_of_columns(access.address)) return false;
    if (lane_of(access.address).columns % pack != 0) return false;
  }
  for (const auto& [index, bounds] : conditions_) {
    if (has_quotient_of_columns(index) || lane_of(index).columns % pack != 0) return false;
    const int64_t factor = lane_of(index).factor;
    if (factor == 0) continue;
    if (factor != 1 || !is_multiple(index, pack)) return false;
    for (const int64_t bound : bounds) {
      if (bound % pack != 0) return false;
    }
  }
  return true;
}

bool ShapeChooser::is_pack_of_row(const Access& access) const {
  return access.is_load && shape_.pack > 1 && varies(access.address) && is_pack(access) &&
         has_rows(access.address);
}
int ShapeChooser::bytes_of_pack(const Access& access) const {
  return static_cast<int>(item_size(access.dtype)) * shape_.pack;
}

// The registers that a pack of the row takes in a thread.
int ShapeChooser::registers_of_pack() const {
  int bytes = 0;
  for (const Access& access : accesses_) {
    if (!varies(access.address) || !is_pack(access)) continue;
    if (shape_.staged && is_pack_of_row(access)) continue;
    // That of the next row, too.
    const bool is_twice = shape_.ahead && is_pack_of_row(access);
    bytes += bytes_of_pack(access) * (is_twice ? 2 : 1);
  }
  int sums = 0;
  for (const PartialSum& sum : kernel_->sums) sums += sum.is_total ? 0 : 1;
  return (bytes + 3) / 4 + sums * shape_.pack;
}

bool ShapeChooser::has_column_sums() const {
  return std::any_of(kernel_->sums.begin(), kernel_->sums.end(),
                     [](const PartialSum& sum) { return !sum.is_total; });
}

// The threads of a row that keep it in registers; false where none do.
bool ShapeChooser::choose_kept_team(int64_t packs) {
  struct Choice {
    int team, budget;  // registers for packs and sums
  };
  constexpr Choice kChoices[] = {{32, 96}, {128, 96}, {256, 96}, {512, 64}, {1024, 36}};
  const int registers = std::max(1, registers_of_pack());
  double best = 0;
  for (const auto& [team, budget] : kChoices) {
    const int64_t count = (packs + team - 1) / team;
    if (count * registers > budget || count > 16) continue;
    double used = static_cast<double>(packs) / static_cast<double>(count * team);
    // Few rows need more threads for each to fill a GPU.
    if (rows_ * team < 64 * 1024 && team < packs) used *= 0.5;
    if (used <= best) continue;
    best = used;
    shape_.team = team;
    shape_.packs = static_cast<int>(count);
  }
  return best > 0;
}

std::string ShapeChooser::choose_team(bool reduces_rows) {
  const int64_t packs = (columns_ + shape_.pack - 1) / shape_.pack;
  if (!reduces_rows && has_column_sums()) {
    // Columns do not meet: blocks share them.
    shape_.is_chunked = true;
    shape_.ahead = true;
    shape_.kept = true;
    shape_.packs = 1;
    shape_.team = 32;
    while (shape_.team < 256 && shape_.team < packs) shape_.team *= 2;
    shape_.threads = kFlatThreads;
    return {};
  }
  shape_.ahead = !kernel_->sums.empty();
  shape_.staged = shape_.ahead && has_column_sums() && choose_staged_team(packs);
  shape_.kept = shape_.staged || choose_kept_team(packs);
  if (!shape_.kept && shape_.ahead) {
    shape_.ahead = false;
    shape_.kept = choose_kept_team(packs);
  }
  if (!shape_.kept) {
    if (has_column_sums()) {
      return concat("rows of ", columns_,
                    " elements are too long for the sums over rows that go with them");
    }
    shape_.team = 1024;
  }
  if (!shape_.staged) shape_.threads = shape_.team == kWarp ? kFlatThreads : shape_.team;
  return {};
}

// Threads of a row whose packs wait in shared memory; false where they cannot.
bool ShapeChooser::choose_staged_team(int64_t packs) {
  int64_t row = 0;
  for (const Access& access : accesses_) {
    if (!is_pack_of_row(access)) continue;
    const int bytes = bytes_of_pack(access);
    if (bytes < 4) return false;
    row += bytes * packs;
  }
  if (row == 0) return false;
  shape_.staged = true;
  const int registers = std::max(1, registers_of_pack());
  const auto fits = [&](int64_t team, int64_t count, int64_t threads) {
    const int64_t of_pack = row / packs * 2 * count * threads;
    const int64_t of_sums = threads == team ? 0 : 8 * team * count * shape_.pack;
    if (count * registers > kMostStagedRegisters || of_pack + of_sums > kMostStagedBytes) {
      return false;
    }
    shape_.team = static_cast<int>(team);
    shape_.packs = static_cast<int>(count);
    shape_.threads = static_cast<int>(threads);
    return true;
  };
  // A warp needs no barriers; of blocks as many as possible share a processor.
  if (fits(kWarp, (packs + kWarp - 1) / kWarp, kStagedThreads)) return true;
  for (int64_t count = 1; count <= kMostStagedPacks; ++count) {
    const int64_t threads = (packs + count - 1) / count;
    const int64_t team = (threads + kWarp - 1) / kWarp * kWarp;
    if (team <= kMostStagedThreads && fits(team, count, team)) return true;
  }
  return false;
}

}  // namespace taut::fusion
