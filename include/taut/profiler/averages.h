#pragma once
// A profile summed up: a row for each op, module or kernel.

#include <cstdint>
#include <string>
#include <vector>

#include "taut/base/macros.h"

namespace taut::profiler {

/// What gets a row: each name of an op (or backward function, step, range), each module by its
/// path, each name of a kernel.
enum class GroupBy : uint8_t { op, module, kernel };

/// Times are nanoseconds. "Total" takes in the scopes within, "self" does not; of a module, total
/// takes in the modules inside it, and the backward functions of its ops as well as the ops.
struct AverageRow {
  std::string name;
  std::string input_shapes;  // as text, when grouped by them
  int64_t count = 0;
  int64_t cpu_time_total = 0;
  int64_t self_cpu_time_total = 0;
  int64_t device_time_total = 0;
  int64_t self_device_time_total = 0;
  double flops = 0;  // of all calls, in total
  double bytes = 0;
  int64_t cpu_memory_usage = 0;  // bytes allocated less bytes freed, in total
  int64_t cuda_memory_usage = 0;
  int64_t self_cpu_memory_usage = 0;
  int64_t self_cuda_memory_usage = 0;
  /// Nanoseconds that the FLOPs, and the bytes, would take at the peak of where they were computed;
  /// 0 where no peak is known. See taut/profiler/peaks.h.
  double flops_floor = 0;
  double bytes_floor = 0;

  /// What rates refer to: the time on GPUs, or on the CPU where there is none.
  int64_t time() const { return device_time_total > 0 ? device_time_total : cpu_time_total; }
  double flops_per_second() const { return per_second(flops); }
  double bytes_per_second() const { return per_second(bytes); }
  /// The part of the machine's peak that was reached; 0 where no peak is known.
  double flops_share() const { return time() > 0 ? flops_floor / static_cast<double>(time()) : 0; }
  double bytes_share() const { return time() > 0 ? bytes_floor / static_cast<double>(time()) : 0; }

 private:
  double per_second(double amount) const {
    return time() > 0 ? 1e9 * amount / static_cast<double>(time()) : 0;
  }
};

struct TableOptions {
  /// A field of AverageRow, largest first; "cuda_time_total" is the same as "device_time_total".
  /// Empty: self_device_time_total where there was a GPU, self_cpu_time_total otherwise.
  std::string sort_by = {};
  int64_t row_limit = 100;  // -1 for all
  int64_t max_name_column_width = 55;
};

class TAUT_API Averages {
 public:
  std::vector<AverageRow> rows;
  int64_t self_cpu_time_total = 0;  // of the whole profile
  int64_t self_device_time_total = 0;
  /// Where the peaks that shares refer to come from, a line for each device.
  std::vector<std::string> peak_sources;

  /// The rows as text. @throws ValueError for a sort_by that is no field.
  std::string table(const TableOptions& options = {}) const;
  /// Sorts the rows as table() does.
  void sort(const std::string& by);
};

}  // namespace taut::profiler
