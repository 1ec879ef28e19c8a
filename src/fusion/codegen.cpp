// The kernels of a schedule: how their threads take rows and columns, what they reduce and store.

#include "src/fusion/codegen.h"

#include <algorithm>
#include <bit>
#include <map>
#include <set>

#include "src/fusion/index.h"
#include "src/fusion/index_maps.h"
#include "src/fusion/kernel_shape.h"
#include "src/fusion/sources.h"
#include "taut/base/check.h"

namespace taut::fusion {
namespace {

constexpr int kMostFlatBlocks = 4096;  // of a kernel that sums over everything
// Of a kernel that sums over rows: the more, the better do they share the GPU, and the more parts
// are written. A block has a few rows at least.
constexpr int64_t kLeastSumBlocks = 512;
constexpr int64_t kMostSumBlocks = 1024;
constexpr int64_t kRowsOfSumBlock = 16;
constexpr int kMostFinishThreads = 1024;
constexpr int64_t kManyFinishColumns = 16384;
constexpr int64_t kPartsOfThread = 4;

const char* combine_type(ReduceKind kind) {
  return kind == ReduceKind::sum ? "Sum" : kind == ReduceKind::max ? "Max" : "Min";
}
std::string identity_text(ReduceKind kind, const char* type) {
  return concat(combine_type(kind), "::identity<", type, ">()");
}

class KernelWriter : ShapeChooser {
 public:
  KernelWriter(const Graph& graph, const Schedule& schedule, const std::vector<int>& alignments)
      : ShapeChooser(graph, schedule, alignments) {}

  std::string refusal;

  KernelCode main_kernel(const MainKernel& kernel, int first_part, std::vector<Parts>& parts,
                         int64_t* parts_of_sums) {
    kernel_ = &kernel;
    first_part_ = first_part;
    rows_ = kernel.rows.numel();
    columns_ = kernel.columns.numel();
    find_shape();
    if (!refusal.empty()) return {};
    KernelCode code;
    write_main(code, parts, parts_of_sums);
    return code;
  }

  KernelCode finish_kernel(const FinishKernel& finish, const MainKernel& main, int first_part,
                           const int64_t* parts_of_sums);

 private:
  // The shape of the kernel ----------------------------------------------------------------------

  // Walks once for the accesses and conditions, which say how many columns go into a pack.
  void find_shape() {
    shape_ = Shape{};
    shape_.kept = false;
    begin();
    {
      KernelCode dry;
      std::vector<Parts> parts;
      int64_t counts[kMostPointers] = {};
      is_dry_ = true;
      write_main(dry, parts, counts);
      is_dry_ = false;
    }
    if (refusal.empty()) refusal = choose_shape(!reduces_.empty());
  }

  void begin() {
    ValueWriter::begin();
    reduces_.clear();
    row_at_ = linear(add_dims(kernel_->rows, false, variables_), contiguous_strides(kernel_->rows));
    column_at_ =
        linear(add_dims(kernel_->columns, true, variables_), contiguous_strides(kernel_->columns));
  }

  // Reductions of rows ---------------------------------------------------------------------------

  struct Reduce {
    NodeId id;
    std::vector<Index> at;
    int depth = 0;
  };

  // Finds the reductions that a value needs; how many of them follow each other.
  int find_reduces(NodeId id, const std::vector<Index>& at) {
    const std::string key = key_of(id, at, "");
    const auto known = depths_.find(key);
    if (known != depths_.end()) return known->second;
    const Node& node = graph_[id];
    int depth = 0;
    if (node.kind == NodeKind::reduce) {
      depth =
          1 + find_reduces(node.inputs[0], operand_index(graph_, node, at, column_at_, variables_));
      const auto is_same = [id](const Reduce& reduce) { return reduce.id == id; };
      if (std::none_of(reduces_.begin(), reduces_.end(), is_same)) {
        reduces_.push_back({id, at, depth});
      }
    } else {
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        depth = std::max(
            depth, find_reduces(node.inputs[i], input_index(graph_, node, i, at, variables_)));
      }
    }
    depths_[key] = depth;
    return depth;
  }

  // All reductions of one depth in one loop over the row.
  void write_phase(int depth) {
    Scope scope;
    std::string before, left, after;
    for (size_t i = 0; i < reduces_.size(); ++i) {
      const Reduce& reduce = reduces_[i];
      if (reduce.depth != depth) continue;
      const Node& node = graph_[reduce.id];
      const char* type = value_type(node.dtype);
      const char* combine = combine_type(node.reduce);
      const Value value =
          value_of(node.inputs[0], operand_index(graph_, node, reduce.at, column_at_, variables_),
                   "", scope);
      const std::string sum = name("a");
      before += concat(type, " ", sum, " = ", identity_text(node.reduce, type), ";\n");
      scope.elements += concat(sum, " = ", combine, "::of(", sum, ", static_cast<", type, ">(",
                               value.text, "));\n");
      const std::string result = name("r");
      if (shape_.team == kWarp) {
        after += concat("const ", type, " ", result, " = reduce_warp<", combine, ">(", sum, ");\n");
      } else {
        const std::string room = room_text(static_cast<int>(i), type);
        left += concat("leave_warp<", combine, ">(", sum, ", ", room, ");\n");
        after += concat("const ", type, " ", result, " = gather_team<", combine, ", ", shape_.team,
                        ">(", room, ");\n");
      }
      results_[reduce.id] = result;
    }
    row_text_ += before;
    row_text_ += loop(scope);
    row_text_ += left.empty() ? left : left + "__syncthreads();\n";
    row_text_ += after;
  }
  // Where reduction `i` of a row leaves what its warps have.
  std::string room_text(int i, const char* type) {
    room_ = std::max(room_, (i + 1) * kWarp);
    return concat("room_of<", type, ">(room + ", i * kWarp, ")");
  }

  // A loop over the packs of a row that a thread takes.
  std::string loop(const Scope& scope) const {
    std::string body = scope.loads;
    if (!scope.elements.empty()) {
      body += concat("#pragma unroll\nfor (int e = 0; e < ", shape_.pack, "; ++e) {\n",
                     scope.elements, "}\n");
    }
    body += scope.stores;
    return loop_over_packs(body);
  }
  std::string loop_over_packs(const std::string& body) const {
    if (!kernel_->by_row) return body;
    const int64_t stride = int64_t{shape_.team} * shape_.pack;
    const std::string start = concat(shape_.is_chunked ? "chunk + " : "", "(k * ", shape_.team,
                                     " + lane) * ", shape_.pack);
    if (!shape_.kept) {
      return concat("for (index_t k = 0; k < ", (columns_ + stride - 1) / stride,
                    "; ++k) {\nconst index_t ", kColumnName, " = ", start, ";\nif (", kColumnName,
                    " < ", columns_, ") {\n", body, "}\n}\n");
    }
    const bool is_full = !shape_.is_chunked && stride * shape_.packs == columns_;
    return concat("#pragma unroll\nfor (int k = 0; k < ", shape_.packs, "; ++k) {\nconst index_t ",
                  kColumnName, " = ", start, ";\n",
                  is_full ? "{\n" : concat("if (", kColumnName, " < ", columns_, ") {\n"), body,
                  "}\n}\n");
  }

  // Stores and sums ------------------------------------------------------------------------------

  Index element_number() const { return row_at_ * columns_ + column_at_; }
  bool is_of_rows(NodeId id) const {
    return kernel_->by_row && columns_ > 1 && graph_[id].shape.numel() == rows_;
  }
  std::vector<Index> root_index(NodeId id) {
    return split(is_of_rows(id) ? row_at_ : element_number(), graph_[id].shape, variables_);
  }

  void write_store(const Store& store, Scope& scope, std::string& of_rows) {
    const std::vector<Index> at = root_index(store.node);
    const Value value = value_of(store.node, at, "", scope);
    const Index address = linear(at, store.layout.strides) + constant_index(store.layout.offset);
    const Buffer& buffer = schedule_.buffers[static_cast<size_t>(store.buffer)];
    const char* type = memory_type(buffer.dtype);
    const std::string to = concat("p", pointer(Pointer::Kind::buffer, store.buffer));
    const Access access{buffer.dtype, address,
                        kPackBytes,   pointer(Pointer::Kind::buffer, store.buffer),
                        "",           /*is_load=*/false};
    if (is_dry_) accesses_.push_back(access);
    const std::string place = text_of(address, variables_);
    if (is_of_rows(store.node)) {
      of_rows +=
          concat("if (lane == 0) ", to, "[", place, "] = narrow<", type, ">(", value.text, ");\n");
      return;
    }
    const bool packed = shape_.pack > 1 && is_pack(access);
    if (!packed) {
      const int64_t factor = lane_of(address).factor;
      scope.elements +=
          concat(to, "[", place, shape_.pack > 1 ? concat(" + e * ", factor) : std::string(),
                 "] = narrow<", type, ">(", value.text, ");\n");
      return;
    }
    const std::string row = name("o");
    scope.loads += concat(value_type(value.dtype), " ", row, "[", shape_.pack, "];\n");
    scope.elements += concat(row, "[e] = ", value.text, ";\n");
    scope.stores +=
        concat("store_pack(", to, " + (", place, "), narrow_all<", type, ">(", row, "));\n");
  }

  // The accumulators of sums, in the order of the kernel's.
  struct Accumulator {
    std::string name;
    std::string type;
    const char* combine;
    ReduceKind kind;
    bool is_total;
  };

  Accumulator write_sum(const PartialSum& sum, Scope& scope, std::string& of_rows) {
    const Node& node = graph_[sum.node];
    const NodeId operand = node.inputs[0];
    Accumulator result{name("s"), value_type(node.dtype), combine_type(node.reduce), node.reduce,
                       sum.is_total};
    const Value value = value_of(operand, root_index(operand), "", scope);
    const std::string target =
        sum.is_total ? result.name : concat(result.name, "[k * ", shape_.pack, " + e]");
    const std::string text = concat(target, " = ", result.combine, "::of(", target,
                                    ", static_cast<", result.type, ">(", value.text, "));\n");
    if (is_of_rows(operand)) {
      of_rows += concat("if (lane == 0) ", text);
    } else {
      scope.elements += text;
    }
    return result;
  }

  // The whole kernel -----------------------------------------------------------------------------

  // How rows are shared by blocks where something is summed over them.
  struct RowParts {
    int64_t groups = 1;  // of rows that are summed apart
    int64_t parts = 1;   // blocks to a group
    int64_t rows_of_group = 1;
    int64_t rows_of_part = 1;
  };
  RowParts row_parts() const {
    RowParts result;
    for (const PartialSum& sum : kernel_->sums) {
      if (!sum.is_total) result.groups = std::max(result.groups, sum.groups);
    }
    const int64_t teams = shape_.threads / shape_.team;
    result.rows_of_group = rows_ / result.groups;
    const int64_t blocks =
        std::clamp(rows_ / (teams * kRowsOfSumBlock), kLeastSumBlocks, kMostSumBlocks);
    const int64_t wanted = std::max<int64_t>(1, blocks / result.groups);
    const int64_t most = (result.rows_of_group + teams - 1) / teams;
    result.parts = std::min(wanted, most);
    result.rows_of_part = (result.rows_of_group + result.parts - 1) / result.parts;
    // No part without a row.
    result.parts = (result.rows_of_group + result.rows_of_part - 1) / result.rows_of_part;
    return result;
  }

  void write_main(KernelCode& code, std::vector<Parts>& parts, int64_t* parts_of_sums) {
    if (!is_dry_) begin();
    depths_.clear();
    results_.clear();
    finish_sums_ = false;
    for (const Store& store : kernel_->stores) find_reduces(store.node, root_index(store.node));
    for (const PartialSum& sum : kernel_->sums) {
      const NodeId operand = graph_[sum.node].inputs[0];
      find_reduces(operand, root_index(operand));
    }
    int depth = 0;
    for (const Reduce& reduce : reduces_) depth = std::max(depth, reduce.depth);
    for (int phase = 1; phase <= depth; ++phase) write_phase(phase);
    // With two phases a warp that is ahead waits in the next one before it writes where others
    // still read.
    if (depth == 1 && shape_.team > kWarp && !kernel_->sums.empty())
      row_text_ += "__syncthreads();\n";

    Scope scope;
    std::string of_rows;
    std::vector<Accumulator> sums;
    for (const Store& store : kernel_->stores) write_store(store, scope, of_rows);
    for (const PartialSum& sum : kernel_->sums) sums.push_back(write_sum(sum, scope, of_rows));
    if (pointers_.size() + sums.size() > kMostPointers) {
      refusal = concat("one kernel would take ", pointers_.size() + sums.size(),
                       " tensors; expected at most ", kMostPointers);
      return;
    }
    if (is_dry_) return;

    const std::string final_loop = loop(scope);
    std::string body;
    body += row_text_ + final_loop + of_rows;
    write_frame(code, body, sums, parts, parts_of_sums);
  }

  // The packs of a row, or those that all rows share: their declaration and their loads, under a
  // name that begins with `prefix`.
  std::string declared_packs(bool of_row, const char* prefix) const {
    std::string text;
    for (const KeptPack& pack : kept_) {
      if (pack.of_row != of_row) continue;
      text += concat(pack.type, " ", prefix, pack.name, "[", shape_.packs, "];\n");
    }
    return text;
  }
  std::string loaded_packs(bool of_row, const char* prefix) const {
    std::string text;
    for (const KeptPack& pack : kept_) {
      if (pack.of_row != of_row) continue;
      const std::string name = concat(prefix, pack.name, "[k]");
      if (!pack.guard.empty()) text += concat("if (", pack.guard, ") ");
      text += concat(name, " = load_pack<", shape_.pack, ">(", pack.place, ");\n");
      if (!pack.guard.empty()) text += concat("else ", name, " = {};\n");
    }
    return text.empty() ? text : loop_over_packs(text);
  }
  // The packs of a row begin their way to the slot of that name.
  std::string copied_packs(const char* slot) const {
    std::string text;
    for (const KeptPack& pack : kept_) {
      if (!pack.of_row) continue;
      const std::string to = concat("staged_", pack.name, " + ", slot, " + k * ", shape_.threads);
      if (!pack.guard.empty()) text += concat("if (", pack.guard, ") ");
      text += concat("copy_ahead(", to, ", ", pack.place, ");\n");
      if (!pack.guard.empty()) text += concat("else *(", to, ") = {};\n");
    }
    return loop_over_packs(text);
  }
  // The two slots of each staged pack: packs x threads of them, which neighbours of a warp read
  // side by side.
  std::string declared_slots(KernelCode& code) const {
    std::string text;
    uint32_t bytes = 0;
    for (const KeptPack& pack : kept_) {
      if (!pack.of_row) continue;
      text += concat(pack.type, "* const staged_", pack.name, " = reinterpret_cast<", pack.type,
                     "*>(staging() + ", bytes, ") + threadIdx.x;\n");
      bytes += static_cast<uint32_t>(2 * pack.bytes * shape_.packs * shape_.threads);
    }
    code.shared_memory = bytes;
    return text;
  }
  std::string current_slots() const {
    std::string text;
    for (const KeptPack& pack : kept_) {
      if (!pack.of_row) continue;
      text +=
          concat("const ", pack.type, "* const ", pack.name, " = staged_", pack.name, " + slot;\n");
    }
    return text;
  }
  std::string moved_packs() const {
    std::string text;
    for (const KeptPack& pack : kept_) {
      if (pack.of_row) text += concat(pack.name, "[k] = next_", pack.name, "[k];\n");
    }
    return text.empty() ? text : loop_over_packs(text);
  }

  void write_frame(KernelCode& code, const std::string& body, const std::vector<Accumulator>& sums,
                   std::vector<Parts>& parts, int64_t* parts_of_sums) {
    const bool has_sums = !sums.empty();
    const bool by_row = kernel_->by_row;
    std::string text;
    int64_t chunks = 1;
    int64_t blocks = 1;
    const int teams = shape_.threads / shape_.team;
    if (shape_.is_chunked) {
      const int64_t chunk = int64_t{shape_.team} * shape_.packs * shape_.pack;
      chunks = (columns_ + chunk - 1) / chunk;
      text += concat("const index_t chunk = blockIdx.y * ", chunk, "u;\n");
    }
    if (by_row) {
      text += concat("const index_t lane = threadIdx.x % ", shape_.team, "u;\n");
      text += concat("const index_t team = threadIdx.x / ", shape_.team, "u;\n");
    }
    for (const Accumulator& sum : sums) {
      const std::string identity = identity_text(sum.kind, sum.type.c_str());
      if (sum.is_total) {
        text += concat(sum.type, " ", sum.name, " = ", identity, ";\n");
      } else {
        const int count = shape_.packs * shape_.pack;
        text +=
            concat(sum.type, " ", sum.name, "[", count, "];\n#pragma unroll\nfor (int i = 0; i < ",
                   count, "; ++i) ", sum.name, "[i] = ", identity, ";\n");
      }
    }
    if (!by_row) {
      const int64_t items = columns_ / shape_.pack;
      blocks = (items + shape_.threads - 1) / shape_.threads;
      if (has_sums) blocks = std::min<int64_t>(blocks, kMostFlatBlocks);
      code.sizes[0] = items;
      const std::string start =
          concat("index_t item = index_t{blockIdx.x} * ", shape_.threads, "u + threadIdx.x");
      const std::string is_left = "item < static_cast<index_t>(a.sizes[0])";
      text += has_sums ? concat("for (", start, "; ", is_left, "; item += gridDim.x * ",
                                shape_.threads, "u) {\n")
                       : concat("const ", start, ";\nif (", is_left, ") {\n");
      text += concat("const index_t ", kColumnName, " = item * ", shape_.pack, "u;\n", body, "}\n");
    } else if (!has_sums) {
      blocks = (rows_ + teams - 1) / teams;
      code.sizes[0] = rows_;
      text += concat("const index_t ", kRowName, " = index_t{blockIdx.x} * ", teams,
                     "u + team;\nif (", kRowName, " < static_cast<index_t>(a.sizes[0])) {\n",
                     declared_packs(false, ""), declared_packs(true, ""), loaded_packs(false, ""),
                     loaded_packs(true, ""), body, "}\n");
    } else {
      const RowParts split_rows = row_parts();
      blocks = split_rows.groups * split_rows.parts;
      code.sizes[0] = split_rows.parts;
      code.sizes[1] = split_rows.rows_of_group;
      code.sizes[2] = split_rows.rows_of_part;
      text += concat(
          "const index_t parts = static_cast<index_t>(a.sizes[0]);\n"
          "const index_t of_group = static_cast<index_t>(a.sizes[1]);\n"
          "const index_t of_part = static_cast<index_t>(a.sizes[2]);\n"
          "const index_t group = blockIdx.x / parts;\n"
          "const index_t first = (blockIdx.x % parts) * of_part;\n"
          "const index_t last = first + of_part < of_group ? first + of_part : of_group;\n"
          "index_t next = first + team;\n",
          declared_packs(false, ""), loaded_packs(false, ""));
      text += shape_.staged ? rows_by_slots(code, body, teams) : rows_by_registers(body, teams);
    }
    if (has_column_sums() && teams > 1) {
      // Wide enough for any type.
      text += concat("alignas(16) __shared__ double columns[",
                     shape_.team * shape_.packs * shape_.pack, "];\n");
    }
    for (size_t i = 0; i < sums.size(); ++i) {
      const Accumulator& sum = sums[i];
      const DType dtype = value_dtype(graph_[kernel_->sums[i].node].dtype);
      const std::string to =
          concat("p", pointer(Pointer::Kind::parts, first_part_ + static_cast<int>(i)));
      parts_of_sums[i] = blocks * (sum.is_total ? chunks : 1);
      parts.push_back({dtype, sum.is_total ? blocks * chunks : blocks * columns_});
      text += sum.is_total ? write_total(sum, to) : write_columns(sum, to, teams);
    }
    if (blocks >= int64_t{1} << 31 || chunks >= 65536) {
      refusal = concat(rows_, " rows of ", columns_, " elements are too many for one kernel");
      return;
    }
    code.grid[0] = static_cast<uint32_t>(blocks);
    code.grid[1] = static_cast<uint32_t>(chunks);
    code.threads = static_cast<uint32_t>(shape_.threads);
    complete(code, text);
  }

  // The loop of a team over its rows, from `next` to `last`.
  std::string row_text(int after) const {
    return concat("const index_t ", kRowName, " = group * of_group + next",
                  after > 0 ? concat(" + ", after, "u") : std::string(), ";\n");
  }
  std::string rows_by_registers(const std::string& body, int teams) const {
    if (!shape_.ahead) {
      return concat("for (; next < last; next += ", teams, "u) {\n", row_text(0),
                    declared_packs(true, ""), loaded_packs(true, ""), body, "}\n");
    }
    const std::string ahead = loaded_packs(true, "next_");
    return concat(declared_packs(true, "next_"), "if (next < last) {\n", row_text(0), ahead,
                  "}\nfor (; next < last; next += ", teams, "u) {\n", declared_packs(true, ""),
                  moved_packs(), "if (next + ", teams, "u < last) {\n", row_text(teams), ahead,
                  "}\n", row_text(0), body, "}\n");
  }
  std::string rows_by_slots(KernelCode& code, const std::string& body, int teams) const {
    return concat(declared_slots(code), "index_t slot = 0;\nif (next < last) {\n", row_text(0),
                  copied_packs("slot"), "}\nend_row();\nfor (; next < last; next += ", teams,
                  "u) {\nconst index_t other = ", shape_.packs * shape_.threads,
                  "u - slot;\nif (next + ", teams, "u < last) {\n", row_text(teams),
                  copied_packs("other"), "}\nend_row();\nwait_for_row();\n", row_text(0),
                  current_slots(), body, "slot = other;\n}\n");
  }

  std::string write_total(const Accumulator& sum, const std::string& to) {
    const std::string room = room_text(0, sum.type.c_str());
    return concat("leave_warp<", sum.combine, ">(", sum.name, ", ", room, ");\n__syncthreads();\n",
                  sum.name, " = gather_team<", sum.combine, ", ", shape_.threads, ">(", room,
                  ");\nif (threadIdx.x == 0) ", to,
                  "[blockIdx.y * gridDim.x + blockIdx.x] = ", sum.name, ";\n__syncthreads();\n");
  }

  // Teams hold sums of the same columns: they are combined one team after the other.
  std::string write_columns(const Accumulator& sum, const std::string& to, int teams) const {
    const std::string own = concat(sum.name, " + k * ", shape_.pack);
    const std::string target =
        concat(to, " + (static_cast<int64_t>(blockIdx.x) * ", columns_, " + ", kColumnName, ")");
    const std::string stored = concat("store_values<", shape_.pack, ">(", target, ", ");
    if (teams == 1) return loop_over_packs(concat(stored, own, ");\n"));
    const std::string shared_name = concat("columns_", sum.name);
    const std::string at_shared =
        concat(shared_name, " + ", kColumnName, shape_.is_chunked ? " - chunk" : "");
    return concat(sum.type, "* const ", shared_name, " = room_of<", sum.type, ">(columns);\n",
                  "for (index_t t = 0; t < ", teams, "u; ++t) {\nif (team == t) {\n",
                  loop_over_packs(concat("combine_values<", sum.combine, ", ", shape_.pack, ">(",
                                         at_shared, ", ", own, ", t == 0);\n")),
                  "}\n__syncthreads();\n}\n", "if (team == 0) {\n",
                  loop_over_packs(concat(stored, at_shared, ");\n")), "}\n__syncthreads();\n");
  }

  // The kernel's declaration, with its pointers and the room for reductions.
  void complete(KernelCode& code, const std::string& text) {
    std::string pointers;
    for (size_t i = 0; i < pointers_.size(); ++i) {
      const Pointer& pointer = pointers_[i];
      const bool is_read = pointer.kind == Pointer::Kind::argument;
      const char* type =
          memory_type(pointer.kind == Pointer::Kind::argument ? argument_dtype(pointer.index)
                      : pointer.kind == Pointer::Kind::buffer
                          ? schedule_.buffers[static_cast<size_t>(pointer.index)].dtype
                          : part_dtype(pointer.index));
      pointers +=
          concat(is_read ? "const " : "", type, "* const __restrict__ p", i, " = static_cast<",
                 is_read ? "const " : "", type, "*>(a.pointers[", i, "]);\n");
    }
    code.kernel = concat(
        "namespace taut::kernels::fusion {\n",
        "using index_t = ", is_wide_ ? "int64_t" : "uint32_t",
        ";\nstruct Arguments {\nvoid* pointers[", kMostPointers, "];\nint64_t sizes[", kSizeCount,
        "];\n};\n__global__ void __launch_bounds__(", code.threads,
        ") fused(const __grid_constant__ Arguments a) {\n",
        text.find("(room") == std::string::npos ? std::string()
                                                : concat("__shared__ double room[", room_, "];\n"),
        pointers, text, "}\n}\n");
    code.source = prelude(ops_) + code.kernel;
    code.pointers = pointers_;
  }
  DType argument_dtype(int argument) const {
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (graph_[id].kind == NodeKind::leaf && graph_[id].argument == argument) {
        return graph_[id].dtype;
      }
    }
    return DType::float32;
  }
  DType part_dtype(int part) const {
    return value_dtype(graph_[kernel_->sums[static_cast<size_t>(part - first_part_)].node].dtype);
  }

  int first_part_ = 0;
  int room_ = 32;
  Index row_at_, column_at_;
  std::vector<Reduce> reduces_;
  std::map<std::string, int> depths_;
};

KernelCode KernelWriter::finish_kernel(const FinishKernel& finish, const MainKernel& main,
                                       int first_part, const int64_t* parts_of_sums) {
  // A kernel over the results, each of which a column of threads adds the parts of.
  MainKernel results;
  results.columns = finish.shape;
  kernel_ = &results;
  rows_ = 1;
  columns_ = finish.shape.numel();
  shape_ = Shape{};
  shape_.kept = false;
  begin();
  results_.clear();
  finish_sums_ = true;
  int64_t most_parts = 1;
  for (const int sum : finish.sums) {
    const auto at = static_cast<size_t>(sum);
    most_parts = std::max(most_parts, parts_of_sums[at] / main.sums[at].groups);
  }
  // Eight columns are what one read from memory brings; blocks of so few keep more of a GPU busy.
  const int across = columns_ == 1 ? 1 : columns_ < kManyFinishColumns ? 8 : kWarp;
  // A thread adds a few parts at least, and a block is no less than a warp.
  const auto wanted = static_cast<uint64_t>(std::max<int64_t>(1, most_parts / kPartsOfThread));
  const int lanes =
      std::clamp(static_cast<int>(std::bit_ceil(wanted)), 32 / across, kMostFinishThreads / across);
  std::string text =
      concat("const index_t ", kColumnName, " = blockIdx.x * ", across, "u + threadIdx.x % ",
             across, "u;\nconst index_t lane = threadIdx.x / ", across, "u;\n");
  KernelCode code;
  for (size_t i = 0; i < finish.sums.size(); ++i) {
    const auto which = static_cast<size_t>(finish.sums[i]);
    const PartialSum& sum = main.sums[which];
    const Node& node = graph_[sum.node];
    const char* type = value_type(node.dtype);
    const char* combine = combine_type(node.reduce);
    const std::string from =
        concat("p", pointer(Pointer::Kind::parts, first_part + finish.sums[i]));
    // The parts of a result lie `count` apart, those of a group one behind the other.
    const int64_t parts = parts_of_sums[which] / sum.groups;
    code.sizes[0] = parts;
    const std::string result = name("r");
    text += concat(type, " ", result, " = ", identity_text(node.reduce, type), ";\nif (",
                   kColumnName, " < ", columns_, ") {\nfor (int64_t part = lane; part < ", parts,
                   "; part += ", lanes, ") {\n", result, " = ", combine, "::of(", result, ", ",
                   from, "[(static_cast<int64_t>(", kColumnName, " / ", sum.count, ") * ", parts,
                   " + part) * ", sum.count, " + ", kColumnName, " % ", sum.count, "]);\n}\n}\n",
                   result, " = combine_lanes<", combine, ", ", across, ", ", lanes, ">(", result,
                   ", room_of<", type, ">(room));\n");
    results_[sum.node] = result;
  }
  Scope scope;
  std::string none;
  for (const Store& store : finish.stores) write_store(store, scope, none);
  text += concat("if (lane == 0 && ", kColumnName, " < ", columns_, ") {\n", row_text_, scope.loads,
                 scope.elements, scope.stores, "}\n");
  code.grid[0] = static_cast<uint32_t>((columns_ + across - 1) / across);
  code.threads = static_cast<uint32_t>(across * lanes);
  room_ = across * lanes;
  // Parts are declared by the dtype of their sum.
  kernel_ = &main;
  first_part_ = first_part;
  complete(code, text);
  return code;
}

GeneratedCode generate(const Graph& graph, const Schedule& schedule,
                       const std::vector<int>& alignments) {
  GeneratedCode result;
  std::vector<int> first_parts;
  std::vector<std::vector<int64_t>> parts_of_sums(schedule.mains.size());
  first_parts.resize(schedule.mains.size());
  for (const int entry : schedule.order) {
    KernelWriter writer(graph, schedule, alignments);
    if (entry >= 0) {
      const auto at = static_cast<size_t>(entry);
      const MainKernel& main = schedule.mains[at];
      first_parts[at] = static_cast<int>(result.parts.size());
      parts_of_sums[at].resize(main.sums.size());
      result.kernels.push_back(
          writer.main_kernel(main, first_parts[at], result.parts, parts_of_sums[at].data()));
    } else {
      const FinishKernel& finish = schedule.finishes[static_cast<size_t>(-1 - entry)];
      const auto at = static_cast<size_t>(finish.main);
      result.kernels.push_back(writer.finish_kernel(finish, schedule.mains[at], first_parts[at],
                                                    parts_of_sums[at].data()));
    }
    if (!writer.refusal.empty()) {
      result.refusal = writer.refusal;
      return result;
    }
  }
  return result;
}

}  // namespace

Kernels make_kernels(Graph& graph, const std::vector<NodeId>& roots,
                     const std::vector<int>& alignments, bool share_results) {
  Kernels result;
  const int arguments = static_cast<int>(alignments.size());
  for (const bool keep_rows : {false, true}) {
    result.schedule =
        schedule(graph, roots, arguments, {.share_results = share_results, .keep_rows = keep_rows});
    result.refusal = result.schedule.refusal;
    if (!result.refusal.empty()) return result;
    result.code = generate(graph, result.schedule, alignments);
    result.refusal = result.code.refusal;
    if (result.refusal.empty()) return result;
  }
  return result;
}

}  // namespace taut::fusion
