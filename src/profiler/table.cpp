// The table of a profile as text.

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "taut/base/check.h"
#include "taut/profiler/averages.h"

namespace taut::profiler {
namespace {

using Field = double (*)(const AverageRow& row);

struct SortField {
  std::string_view name;
  Field field;
};

double average(int64_t total, int64_t count) {
  return count == 0 ? 0 : static_cast<double>(total) / static_cast<double>(count);
}

template <auto member>
double value_of(const AverageRow& row) {
  return static_cast<double>(row.*member);
}

constexpr SortField kFields[] = {
    {"cpu_time_total", value_of<&AverageRow::cpu_time_total>},
    {"self_cpu_time_total", value_of<&AverageRow::self_cpu_time_total>},
    {"device_time_total", value_of<&AverageRow::device_time_total>},
    {"self_device_time_total", value_of<&AverageRow::self_device_time_total>},
    {"cuda_time_total", value_of<&AverageRow::device_time_total>},
    {"self_cuda_time_total", value_of<&AverageRow::self_device_time_total>},
    {"cpu_time", [](const AverageRow& row) { return average(row.cpu_time_total, row.count); }},
    {"device_time",
     [](const AverageRow& row) { return average(row.device_time_total, row.count); }},
    {"cuda_time", [](const AverageRow& row) { return average(row.device_time_total, row.count); }},
    {"count", value_of<&AverageRow::count>},
    {"flops", value_of<&AverageRow::flops>},
    {"bytes", value_of<&AverageRow::bytes>},
    {"cpu_memory_usage", value_of<&AverageRow::cpu_memory_usage>},
    {"self_cpu_memory_usage", value_of<&AverageRow::self_cpu_memory_usage>},
    {"cuda_memory_usage", value_of<&AverageRow::cuda_memory_usage>},
    {"self_cuda_memory_usage", value_of<&AverageRow::self_cuda_memory_usage>},
};

Field field_named(std::string_view name) {
  std::string known;
  for (const SortField& field : kFields) {
    if (field.name == name) return field.field;
    known += concat(known.empty() ? "" : ", ", field.name);
  }
  detail::raise<ValueError>("table: cannot sort by \"", name, "\"; expected one of ", known);
}

std::string formatted(const char* format, double value) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string time_text(double nanoseconds) {
  if (nanoseconds >= 1e9) return formatted("%.3fs", nanoseconds / 1e9);
  if (nanoseconds >= 1e6) return formatted("%.3fms", nanoseconds / 1e6);
  return formatted("%.3fus", nanoseconds / 1e3);
}
std::string time_text(int64_t nanoseconds) { return time_text(static_cast<double>(nanoseconds)); }

std::string bytes_text(int64_t bytes) {
  const double value = static_cast<double>(bytes);
  const double size = value < 0 ? -value : value;
  if (size >= 0x1p30) return formatted("%.2f GiB", value / 0x1p30);
  if (size >= 0x1p20) return formatted("%.2f MiB", value / 0x1p20);
  if (size >= 0x1p10) return formatted("%.2f KiB", value / 0x1p10);
  return formatted("%.0f B", value);
}

std::string part_text(int64_t part, int64_t whole) {
  return whole == 0
             ? "-"
             : formatted("%.2f%%", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

// A unit that shows the largest of some amounts with digits before the point.
struct Unit {
  const char* prefix;
  double size;
};
Unit unit_for(double largest) {
  if (largest >= 1e12) return {"T", 1e12};
  if (largest >= 1e9) return {"G", 1e9};
  return {"M", 1e6};
}

// "-" for what is not known.
std::string rate_text(double rate, const Unit& unit) {
  return rate == 0 ? "-" : formatted("%.3f", rate / unit.size);
}
std::string share_text(double share) { return share == 0 ? "-" : formatted("%.1f%%", 100 * share); }

// Characters of a UTF-8 text, which columns are as wide as.
size_t width_of(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// On one line, and no wider than the limit.
std::string shortened(std::string text, int64_t limit) {
  std::replace_if(text.begin(), text.end(), [](char c) { return c >= 0 && c < ' '; }, ' ');
  if (limit < 0 || width_of(text) <= static_cast<size_t>(limit)) return text;
  size_t end = 0;
  size_t characters = 0;
  const auto kept = static_cast<size_t>(std::max<int64_t>(limit - 3, 0));
  while (end < text.size() && (characters < kept || (text[end] & 0xc0) == 0x80)) {
    if ((text[end] & 0xc0) != 0x80) ++characters;
    ++end;
  }
  return text.substr(0, end) + "...";
}

// Columns of text, the first to the left, the others to the right.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> headings) { add(std::move(headings)); }
  void add(std::vector<std::string> cells) {
    widths_.resize(std::max(widths_.size(), cells.size()));
    for (size_t i = 0; i < cells.size(); ++i) {
      widths_[i] = std::max(widths_[i], width_of(cells[i]));
    }
    lines_.push_back(std::move(cells));
  }
  std::string str() const {
    std::string rule;
    for (const size_t width : widths_) rule += std::string(width, '-') + "  ";
    rule += "\n";
    std::string text = rule;
    for (size_t i = 0; i < lines_.size(); ++i) {
      for (size_t k = 0; k < lines_[i].size(); ++k) {
        const std::string fill(widths_[k] - width_of(lines_[i][k]), ' ');
        text += (k == 0 ? lines_[i][k] + fill : fill + lines_[i][k]) + "  ";
      }
      text += "\n";
      if (i == 0) text += rule;
    }
    return text + rule;
  }

 private:
  std::vector<std::vector<std::string>> lines_;
  std::vector<size_t> widths_;
};

// Which groups of columns there are something for.
struct Columns {
  bool cpu;
  bool device;
  bool cpu_memory;
  bool cuda_memory;
  bool flops;
  bool shapes;
  Unit flops_unit;
  Unit rate_unit;

  std::vector<std::string> headings() const {
    std::vector<std::string> cells = {"Name"};
    const auto add = [&](std::initializer_list<const char*> more) {
      cells.insert(cells.end(), more.begin(), more.end());
    };
    if (cpu) add({"Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg"});
    if (device) add({"Self CUDA", "Self CUDA %", "CUDA total", "CUDA time avg"});
    if (cpu_memory) add({"CPU Mem", "Self CPU Mem"});
    if (cuda_memory) add({"CUDA Mem", "Self CUDA Mem"});
    add({"# of Calls"});
    if (flops) {
      cells.push_back(concat(flops_unit.prefix, "FLOPs"));
      cells.push_back(concat(rate_unit.prefix, "FLOP/s"));
      add({"% of peak", "GB/s", "% of peak"});
    }
    if (shapes) add({"Input Shapes"});
    return cells;
  }

  std::vector<std::string> cells(const Averages& all, const AverageRow& row,
                                 int64_t name_width) const {
    std::vector<std::string> cells = {shortened(row.name, name_width)};
    const auto add = [&](std::initializer_list<std::string> more) {
      cells.insert(cells.end(), more.begin(), more.end());
    };
    if (cpu) {
      add({part_text(row.self_cpu_time_total, all.self_cpu_time_total),
           time_text(row.self_cpu_time_total),
           part_text(row.cpu_time_total, all.self_cpu_time_total), time_text(row.cpu_time_total),
           time_text(average(row.cpu_time_total, row.count))});
    }
    if (device) {
      add({time_text(row.self_device_time_total),
           part_text(row.self_device_time_total, all.self_device_time_total),
           time_text(row.device_time_total), time_text(average(row.device_time_total, row.count))});
    }
    if (cpu_memory) {
      add({bytes_text(row.cpu_memory_usage), bytes_text(row.self_cpu_memory_usage)});
    }
    if (cuda_memory) {
      add({bytes_text(row.cuda_memory_usage), bytes_text(row.self_cuda_memory_usage)});
    }
    add({concat(row.count)});
    if (flops) {
      add({rate_text(row.flops, flops_unit), rate_text(row.flops_per_second(), rate_unit),
           share_text(row.flops_share()), rate_text(row.bytes_per_second(), {"G", 1e9}),
           share_text(row.bytes_share())});
    }
    if (shapes) add({row.input_shapes});
    return cells;
  }
};

Columns columns_for(const Averages& all) {
  const auto has = [&](auto test) { return std::any_of(all.rows.begin(), all.rows.end(), test); };
  double flops = 0;
  double rate = 0;
  for (const AverageRow& row : all.rows) {
    flops = std::max(flops, row.flops);
    rate = std::max(rate, row.flops_per_second());
  }
  return {
      .cpu = has([](const AverageRow& row) { return row.cpu_time_total > 0; }),
      .device = all.self_device_time_total > 0,
      .cpu_memory = has([](const AverageRow& row) {
        return row.self_cpu_memory_usage != 0 || row.cpu_memory_usage != 0;
      }),
      .cuda_memory = has([](const AverageRow& row) {
        return row.self_cuda_memory_usage != 0 || row.cuda_memory_usage != 0;
      }),
      .flops = has([](const AverageRow& row) { return row.flops > 0 || row.bytes > 0; }),
      .shapes = has([](const AverageRow& row) { return !row.input_shapes.empty(); }),
      .flops_unit = unit_for(flops),
      .rate_unit = unit_for(rate),
  };
}

}  // namespace

void Averages::sort(const std::string& by) {
  const bool has_device = self_device_time_total > 0;
  const Field field = field_named(!by.empty()  ? std::string_view(by)
                                  : has_device ? "self_device_time_total"
                                               : "self_cpu_time_total");
  std::stable_sort(rows.begin(), rows.end(), [field](const AverageRow& a, const AverageRow& b) {
    return field(a) > field(b);
  });
}

std::string Averages::table(const TableOptions& options) const {
  Averages sorted = *this;
  sorted.sort(options.sort_by);
  const Columns columns = columns_for(sorted);
  TextTable table(columns.headings());
  const size_t shown = options.row_limit < 0
                           ? sorted.rows.size()
                           : std::min(sorted.rows.size(), static_cast<size_t>(options.row_limit));
  for (size_t i = 0; i < shown; ++i) {
    table.add(columns.cells(sorted, sorted.rows[i], options.max_name_column_width));
  }
  std::string text = table.str();
  text += concat("Self CPU time total: ", time_text(self_cpu_time_total), "\n");
  if (self_device_time_total > 0) {
    text += concat("Self CUDA time total: ", time_text(self_device_time_total), "\n");
  }
  for (const std::string& source : peak_sources) text += concat("Peak of ", source, "\n");
  return text;
}

}  // namespace taut::profiler
