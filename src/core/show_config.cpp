#include "taut/core/show_config.h"

#include <algorithm>
#include <string_view>
#include <thread>

#include "build_info.h"
#include "taut/base/check.h"
#include "taut/base/cpu.h"
#include "taut/base/parallel.h"
#include "taut/core/cuda.h"

namespace taut::config {
namespace {

constexpr size_t kColumn = 14;

void add_row(std::string& text, std::string_view name, std::string_view value) {
  text += concat("  ", name);
  text.append(kColumn - std::min(kColumn - 1, name.size()), ' ');
  text += concat(value, "\n");
}

}  // namespace

std::string show() {
  std::string text;
  for (const auto& [name, value] : detail::kBuildInfo) {
    if (text.empty()) {
      text = concat("Taut ", value, "\n");  // the first entry is the version
    } else {
      add_row(text, name, value);
    }
  }
  add_row(text, "SIMD", simd_instruction_set());
  add_row(text, "threads",
          concat(get_num_threads(), " of ", std::thread::hardware_concurrency(), " cores"));
  add_row(text, "GPUs", concat(cuda::device_count()));
  text.pop_back();
  return text;
}

}  // namespace taut::config
