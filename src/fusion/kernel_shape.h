#pragma once
// How the threads of a generated kernel take its rows and columns: how many columns go into a pack,
// how many threads have a row, and where the row waits.

#include <cstdint>
#include <string>

#include "src/fusion/value_writer.h"

namespace taut::fusion {

inline constexpr int kWarp = 32;

class ShapeChooser : protected ValueWriter {
 protected:
  using ValueWriter::ValueWriter;

  /// Fills shape_ from the accesses and conditions that a dry walk of the kernel has noted;
  /// `reduces_rows`: it met reductions of rows. Returns why there is no such kernel; empty
  /// otherwise.
  std::string choose_shape(bool reduces_rows);
  bool has_column_sums() const;

  // The kernel that is written.
  const MainKernel* kernel_ = nullptr;
  int64_t rows_ = 1;
  int64_t columns_ = 1;
  bool is_wide_ = false;  // whether indices need 64 bits

 private:
  bool can_pack(int pack) const;
  bool is_pack_of_row(const Access& access) const;
  int bytes_of_pack(const Access& access) const;
  int registers_of_pack() const;
  std::string choose_team(bool reduces_rows);
  bool choose_kept_team(int64_t packs);
  bool choose_staged_team(int64_t packs);
};

}  // namespace taut::fusion
