// Note [Levels]
// A value is written where it changes: once for a row, once for a pack of neighbouring columns that
// a thread loads at once, or for each element of the pack. Values above the elements are written
// once for a loop over the row; those of rows once for all loops.
//
// Note [Rows in registers]
// What a kernel loads of a row it loads before the first reduction, as packs that lie in memory as
// in registers, and every phase after a reduction computes from there. The compiler sees all
// phases unrolled and keeps what is costly to compute again. Rows too long for that are read again
// in each phase, from the second cache at best.

#include "src/fusion/codegen.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <set>

#include "src/fusion/index.h"
#include "src/fusion/index_maps.h"
#include "src/fusion/sources.h"
#include "src/ops/pointwise.h"
#include "taut/base/check.h"

namespace taut::fusion {
namespace {

constexpr int kFlatThreads = 256;
constexpr int kMostFlatBlocks = 1024;  // of a kernel that sums over everything
constexpr int64_t kSumBlocks = 512;    // of a kernel that sums over rows
constexpr int kFinishThreads = 1024;
constexpr int kPackBytes = 16;
constexpr int kMostPack = 8;

const char* memory_type(DType dtype) {
  switch (dtype) {
    case DType::float32: return "float";
    case DType::float64: return "double";
    case DType::float16: return "float16";
    case DType::bfloat16: return "bfloat16";
    case DType::int8: return "int8_t";
    case DType::int16: return "int16_t";
    case DType::int32: return "int32_t";
    case DType::int64: return "int64_t";
    case DType::uint8: return "uint8_t";
    case DType::bool_: return "bool";
  }
  return "";
}
const char* value_type(DType dtype) { return memory_type(value_dtype(dtype)); }

// What a functor computes in: bool as the number 0 or 1.
const char* compute_type(DType dtype) {
  return dtype == DType::bool_ ? "uint8_t" : value_type(dtype);
}

const char* combine_type(ReduceKind kind) {
  return kind == ReduceKind::sum ? "Sum" : kind == ReduceKind::max ? "Max" : "Min";
}
std::string identity_text(ReduceKind kind, const char* type) {
  return concat(combine_type(kind), "::identity<", type, ">()");
}

std::string literal(double value) {
  const std::string limits = "std::numeric_limits<double>::";
  if (std::isnan(value)) return limits + "quiet_NaN()";
  if (std::isinf(value)) return concat(value > 0 ? "" : "-", limits, "infinity()");
  char text[40];
  std::snprintf(text, sizeof(text), value < 0 ? "(%a)" : "%a", value);
  return text;
}

enum class Level : uint8_t { row, pack, element };

// The name of a value in the generated text, and the dtype that it is held in.
struct Value {
  std::string text;
  Level level = Level::row;
  DType dtype = DType::float32;
};

// The body of a loop over columns.
struct Scope {
  std::string loads;     // once for a pack
  std::string elements;  // for each element of it
  std::string stores;    // after the elements
  std::map<std::string, Value> values;
  std::map<std::string, std::string> packs;
};

// How a kernel's threads take its rows and columns.
struct Shape {
  int pack = 1;   // columns that a thread takes at once
  int team = 32;  // threads to a row
  int threads = 256;
  int packs = 1;            // of a thread and row
  bool kept = true;         // see Note [Rows in registers]
  bool is_chunked = false;  // blocks share the columns: blockIdx.y counts the chunks
};

class KernelWriter {
 public:
  KernelWriter(const Graph& graph, const Schedule& schedule, const std::vector<int>& alignments)
      : graph_(graph), schedule_(schedule), alignments_(alignments) {}

  std::string refusal;

  KernelCode main_kernel(const MainKernel& kernel, int first_part, std::vector<Parts>& parts,
                         int64_t* parts_of_sums) {
    kernel_ = &kernel;
    first_part_ = first_part;
    rows_ = kernel.rows.numel();
    columns_ = kernel.columns.numel();
    choose_shape();
    if (!refusal.empty()) return {};
    KernelCode code;
    write_main(code, parts, parts_of_sums);
    return code;
  }

  KernelCode finish_kernel(const FinishKernel& finish, const MainKernel& main, int first_part,
                           const int64_t* parts_of_sums);

 private:
  // What the kernel reads and writes -------------------------------------------------------------

  struct Access {
    DType dtype;
    Index address;
    int alignment;
  };

  // The position of a pointer among the kernel's.
  int pointer(Pointer::Kind kind, int index) {
    for (size_t i = 0; i < pointers_.size(); ++i) {
      if (pointers_[i].kind == kind && pointers_[i].index == index) return static_cast<int>(i);
    }
    pointers_.push_back({kind, index});
    return static_cast<int>(pointers_.size()) - 1;
  }
  int pointer_of_leaf(int argument) {
    return argument < schedule_.arguments
               ? pointer(Pointer::Kind::argument, argument)
               : pointer(Pointer::Kind::buffer, argument - schedule_.arguments);
  }
  int alignment_of(const Node& leaf) const {
    return leaf.argument < schedule_.arguments ? alignments_[static_cast<size_t>(leaf.argument)]
                                               : kPackBytes;
  }

  bool varies(const Index& index) const {
    for (const Index::Term& term : index.terms) {
      if (variables_[static_cast<size_t>(term.variable)].is_column) return true;
    }
    return false;
  }
  bool has_quotient_of_columns(const Index& index) const {
    for (const Index::Term& term : index.terms) {
      const Variable& variable = variables_[static_cast<size_t>(term.variable)];
      if (variable.is_column && !variable.quotient.empty()) return true;
    }
    return false;
  }
  // The columns that are alike for an index, and how it steps along them.
  struct Lane {
    int64_t columns = 1;
    int64_t factor = 0;
  };
  Lane lane_of(const Index& index) const {
    const std::vector<Run> runs = runs_of(index, variables_, /*of_columns=*/true);
    if (runs.empty()) return {};
    const Variable& first = variables_[static_cast<size_t>(runs[0].first)];
    return {first.below * first.size, runs[0].factor};
  }
  // Whether all but the step along the lane is a multiple of `unit`.
  bool is_multiple(const Index& index, int64_t unit) const {
    if (index.constant % unit != 0) return false;
    for (const bool of_columns : {false, true}) {
      const std::vector<Run> runs = runs_of(index, variables_, of_columns);
      for (size_t i = of_columns ? 1 : 0; i < runs.size(); ++i) {
        if (runs[i].factor % unit != 0) return false;
      }
    }
    for (const Index::Term& term : index.terms) {
      if (!variables_[static_cast<size_t>(term.variable)].quotient.empty() &&
          term.factor % unit != 0) {
        return false;
      }
    }
    return true;
  }
  bool is_pack(const Access& access) const {
    if (has_quotient_of_columns(access.address)) return false;
    const auto bytes = static_cast<int>(item_size(access.dtype)) * shape_.pack;
    return lane_of(access.address).factor == 1 && is_multiple(access.address, shape_.pack) &&
           access.alignment >= std::min(bytes, kPackBytes);
  }

  // The shape of the kernel ----------------------------------------------------------------------

  // Walks once for the accesses and conditions, which say how many columns go into a pack.
  void choose_shape() {
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
    if (!refusal.empty()) return;
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
    if (kernel_->by_row) {
      choose_team();
    } else {
      shape_.team = shape_.threads = kFlatThreads;
      shape_.packs = 1;
      shape_.kept = false;
    }
  }

  bool can_pack(int pack) const {
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

  // The registers that a pack of the row takes in a thread.
  int registers_of_pack() const {
    int bytes = 0;
    for (const Access& access : accesses_) {
      if (varies(access.address) && is_pack(access)) {
        bytes += static_cast<int>(item_size(access.dtype)) * shape_.pack;
      }
    }
    int sums = 0;
    for (const PartialSum& sum : kernel_->sums) sums += sum.is_total ? 0 : 1;
    return (bytes + 3) / 4 + sums * shape_.pack;
  }

  void choose_team() {
    const int64_t packs = (columns_ + shape_.pack - 1) / shape_.pack;
    const int registers = std::max(1, registers_of_pack());
    bool has_column_sums = false;
    for (const PartialSum& sum : kernel_->sums) has_column_sums |= !sum.is_total;
    if (reduces_.empty() && has_column_sums) {
      // Columns do not meet: blocks share them.
      shape_.is_chunked = true;
      shape_.kept = true;
      shape_.packs = 1;
      shape_.team = 32;
      while (shape_.team < 256 && shape_.team < packs) shape_.team *= 2;
      shape_.threads = 256;
      return;
    }
    struct Choice {
      int team, budget;
    };
    constexpr Choice kChoices[] = {{32, 96}, {128, 96}, {256, 96}, {512, 64}, {1024, 32}};
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
    shape_.kept = best > 0;
    if (!shape_.kept) {
      if (has_column_sums) {
        refusal = concat("rows of ", columns_,
                         " elements are too long for the sums over rows that go with them");
        return;
      }
      shape_.team = 1024;
    }
    shape_.threads = shape_.team == 32 ? 256 : shape_.team;
  }

  // Values ---------------------------------------------------------------------------------------

  void begin() {
    variables_.clear();
    row_at_ = linear(add_dims(kernel_->rows, false, variables_), contiguous_strides(kernel_->rows));
    column_at_ =
        linear(add_dims(kernel_->columns, true, variables_), contiguous_strides(kernel_->columns));
    pointers_.clear();
    accesses_.clear();
    conditions_.clear();
    reduces_.clear();
    row_values_.clear();
    row_text_.clear();
    preload_text_.clear();
    declarations_.clear();
    kept_packs_.clear();
    names_ = 0;
  }
  std::string name(const char* letter) { return concat(letter, names_++); }

  static std::string key_of(NodeId id, const std::vector<Index>& at, const std::string& guard) {
    std::string key = concat(id, guard);
    for (const Index& index : at) {
      key += concat("|", index.constant);
      for (const Index::Term& term : index.terms)
        key += concat("+", term.variable, "*", term.factor);
    }
    return key;
  }

  Value declare(Scope& scope, Level level, DType dtype, const std::string& expression) {
    Value value{name("v"), level, dtype};
    std::string& text = level == Level::row    ? row_text_
                        : level == Level::pack ? scope.loads
                                               : scope.elements;
    text += concat("const ", value_type(dtype), " ", value.text, " = ", expression, ";\n");
    return value;
  }

  Value value_of(NodeId id, const std::vector<Index>& at, const std::string& guard, Scope& scope) {
    const std::string key = key_of(id, at, guard);
    const auto in_row = row_values_.find(key);
    if (in_row != row_values_.end()) return in_row->second;
    const auto in_scope = scope.values.find(key);
    if (in_scope != scope.values.end()) return in_scope->second;
    const Value value = make_value(id, at, guard, scope);
    (value.level == Level::row ? row_values_ : scope.values)[key] = value;
    return value;
  }

  Value make_value(NodeId id, const std::vector<Index>& at, const std::string& guard,
                   Scope& scope) {
    const Node& node = graph_[id];
    switch (node.kind) {
      case NodeKind::leaf: return load(node, at, guard, scope);
      case NodeKind::number:
        return {node.value.is_floating_point() ? literal(node.value.to_double())
                                               : concat(node.value.to_int64(), "ll"),
                Level::row, node.dtype};
      case NodeKind::pointwise: return functor(node, at, guard, scope);
      case NodeKind::cast: {
        const Value input = input_value(node, 0, at, guard, scope);
        return declare(scope, input.level, node.dtype, cast_text(input, node.dtype));
      }
      case NodeKind::view: return input_value(node, 0, at, guard, scope);
      case NodeKind::join: return joined(node, at, guard, scope);
      case NodeKind::overlay: return overlaid(node, at, guard, scope);
      case NodeKind::reduce: return reduced(id);
    }
    return {};
  }

  Value input_value(const Node& node, size_t input, const std::vector<Index>& at,
                    const std::string& guard, Scope& scope) {
    return value_of(node.inputs[input], input_index(graph_, node, input, at, variables_), guard,
                    scope);
  }

  static std::string cast_text(const Value& value, DType dtype) {
    if (dtype == DType::bool_) return concat(value.text, " != 0");
    if (dtype == DType::float16 || dtype == DType::bfloat16) {
      return concat("widen(narrow<", memory_type(dtype), ">(", value.text, "))");
    }
    return concat("static_cast<", value_type(dtype), ">(", value.text, ")");
  }

  Value functor(const Node& node, const std::vector<Index>& at, const std::string& guard,
                Scope& scope) {
    ops_.insert(node.op);
    const char* type = compute_type(node.compute);
    std::string operands;
    Level level = Level::row;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Value input = input_value(node, i, at, guard, scope);
      level = std::max(level, input.level);
      if (i > 0) operands += ", ";
      operands += concat("static_cast<", type, ">(", input.text, ")");
    }
    std::string parameters;
    for (const double parameter : node.parameters) {
      parameters += concat(parameters.empty() ? "" : ", ", literal(parameter));
    }
    std::string call = concat("make_functor<", functor_struct(node.op), ">(", parameters, ")");
    if (node.derivative > 0) {
      const char letter = static_cast<char>('a' + node.derivative - 1);
      call += concat(".template vjp_", std::string(1, letter), "<", type, ">");
    }
    call += concat("(", operands, ")");
    if (node.dtype == DType::bool_) {
      call += " != 0";
    } else {
      call = concat("static_cast<", value_type(node.dtype), ">(", call, ")");
    }
    return declare(scope, level, node.dtype, call);
  }

  static std::string both(const std::string& guard, const std::string& condition) {
    return guard.empty() ? condition : concat(guard, " && ", condition);
  }

  // index < bound, with the constant on the right, where it cannot wrap.
  std::string is_below(const Index& index, int64_t bound) {
    Index rest = index;
    rest.constant = 0;
    return concat("(", text_of(rest, variables_), " < ", bound - index.constant, ")");
  }
  Level level_of(const Index& index) const { return varies(index) ? Level::pack : Level::row; }

  Value joined(const Node& node, const std::vector<Index>& at, const std::string& guard,
               Scope& scope) {
    const Index index = at[static_cast<size_t>(node.dim)];
    // Beyond the node's own elements nothing is used; see `guard`.
    const int64_t low = std::max<int64_t>(0, least(index, variables_));
    const int64_t high = std::min(greatest(index, variables_), node.shape[node.dim] - 1);
    std::string text;
    Level level = level_of(index);
    std::vector<int64_t> bounds;
    int64_t first = 0;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const int64_t end = first + graph_[node.inputs[i]].shape[node.dim];
      if (high >= first && low < end) {
        const bool is_whole = low >= first && high < end;
        const std::string in_piece = is_below(index, end);
        std::string mine = guard;
        if (first > low) mine = both(mine, concat("!", is_below(index, first)));
        if (high >= end) mine = both(mine, in_piece);
        const Value part = input_value(node, i, at, mine, scope);
        if (is_whole) return part;
        level = std::max(level, part.level);
        bounds.push_back(first);
        bounds.push_back(end);
        text += high >= end ? concat(in_piece, " ? ", part.text, " : ") : part.text;
      }
      first = end;
    }
    std::vector<int64_t>& known = condition_of(index);
    known.insert(known.end(), bounds.begin(), bounds.end());
    return declare(scope, level, node.dtype, text);
  }

  std::vector<int64_t>& condition_of(const Index& index) {
    for (auto& [known, bounds] : conditions_) {
      if (known == index) return bounds;
    }
    conditions_.emplace_back(index, std::vector<int64_t>{});
    return conditions_.back().second;
  }

  Value overlaid(const Node& node, const std::vector<Index>& at, const std::string& guard,
                 Scope& scope) {
    const Index index = at[static_cast<size_t>(node.dim)];
    const int64_t length = graph_[node.inputs[1]].shape[node.dim];
    const int64_t end = node.start + (length - 1) * node.step + 1;
    const int64_t low = std::max<int64_t>(0, least(index, variables_));
    const int64_t high = std::min(greatest(index, variables_), node.shape[node.dim] - 1);
    if (high < node.start || low >= end) return input_value(node, 0, at, guard, scope);
    std::vector<int64_t>& bounds = condition_of(index);
    bounds.push_back(node.start);
    bounds.push_back(end);
    std::string inside;
    if (low < node.start) inside = both(inside, concat("!", is_below(index, node.start)));
    if (high >= end) inside = both(inside, is_below(index, end));
    if (node.step != 1) {
      bounds.push_back(1);  // no pack is steady
      inside = both(inside, concat("((", text_of(index + constant_index(-node.start), variables_),
                                   ") % ", node.step, " == 0)"));
    }
    if (inside.empty()) return input_value(node, 1, at, guard, scope);
    const Value part = input_value(node, 1, at, both(guard, inside), scope);
    const Value base = input_value(node, 0, at, both(guard, concat("!(", inside, ")")), scope);
    const Level level = std::max({level_of(index), part.level, base.level});
    return declare(scope, level, node.dtype,
                   concat("(", inside, ") ? static_cast<", value_type(node.dtype), ">(", part.text,
                          ") : static_cast<", value_type(node.dtype), ">(", base.text, ")"));
  }

  Value load(const Node& node, const std::vector<Index>& at, const std::string& guard,
             Scope& scope) {
    const Index address = linear(at, node.layout.strides) + constant_index(node.layout.offset);
    const std::string from = concat("p", pointer_of_leaf(node.argument));
    const Access access{node.dtype, address, alignment_of(node)};
    if (is_dry_ && std::find_if(accesses_.begin(), accesses_.end(), [&](const Access& known) {
                     return known.address == address && known.dtype == node.dtype &&
                            known.alignment == access.alignment;
                   }) == accesses_.end()) {
      accesses_.push_back(access);
    }
    const std::string place = concat(from, "[", text_of(address, variables_), "]");
    const std::string guarded = guard.empty() ? concat("widen(", place, ")")
                                              : concat("(", guard, ") ? widen(", place,
                                                       ") : ", value_type(node.dtype), "(0)");
    if (!varies(address)) {
      return declare(scope, guard.empty() ? Level::row : Level::pack, node.dtype, guarded);
    }
    const Lane lane = lane_of(address);
    if (shape_.pack > 1 && !is_pack(access) && lane.factor != 0) {
      const std::string element =
          concat("widen(", from, "[", text_of(address, variables_), " + e * ", lane.factor, "])");
      return declare(scope, Level::element, node.dtype,
                     guard.empty() ? element
                                   : concat("(", guard, ") ? ", element, " : ",
                                            value_type(node.dtype), "(0)"));
    }
    if (shape_.pack == 1 || lane.factor == 0) {
      return declare(scope, shape_.pack == 1 ? Level::element : Level::pack, node.dtype, guarded);
    }
    return declare(scope, Level::element, node.dtype,
                   concat("widen(", pack_of(node, from, address, guard, scope), ".values[e])"));
  }

  // The name of a loaded pack.
  std::string pack_of(const Node& node, const std::string& from, const Index& address,
                      const std::string& guard, Scope& scope) {
    const std::string key = concat(from, "[", text_of(address, variables_), "]", guard);
    std::map<std::string, std::string>& known = shape_.kept ? kept_packs_ : scope.packs;
    const auto found = known.find(key);
    if (found != known.end()) return found->second;
    const std::string type = concat("Pack<", memory_type(node.dtype), ", ", shape_.pack, ">");
    const std::string loaded =
        concat("load_pack<", shape_.pack, ">(", from, " + (", text_of(address, variables_), "))");
    std::string result = name("w");
    if (shape_.kept) {
      declarations_ += concat(type, " ", result, "[", shape_.packs, "];\n");
      result += "[k]";
      preload_text_ +=
          concat(guard.empty() ? "" : concat("if (", guard, ") "), result, " = ", loaded, ";\n");
      if (!guard.empty()) preload_text_ += concat("else ", result, " = {};\n");
    } else {
      scope.loads += concat(type, " ", result, " = {};\n");
      scope.loads +=
          concat(guard.empty() ? "" : concat("if (", guard, ") "), result, " = ", loaded, ";\n");
    }
    known[key] = result;
    return result;
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

  // The phases, or the finish's own sums, came before.
  Value reduced(NodeId id) {
    const auto found = results_.find(id);
    TAUT_ASSERT(found != results_.end());
    return {found->second, finish_sums_ ? Level::element : Level::row, graph_[id].dtype};
  }

  // All reductions of one depth in one loop over the row.
  void write_phase(int depth) {
    Scope scope;
    std::string before, after;
    for (const Reduce& reduce : reduces_) {
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
      after += concat("const ", type, " ", result, " = reduce_team<", combine, ", ", shape_.team,
                      ">(", sum, ", room_of<", type, ">(room));\n");
      results_[reduce.id] = result;
    }
    row_text_ += before;
    row_text_ += loop(scope);
    row_text_ += after;
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
    const Access access{buffer.dtype, address, kPackBytes};
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
    const Accumulator result{name("s"), value_type(node.dtype), combine_type(node.reduce),
                             node.reduce, sum.is_total};
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
    const int64_t wanted = std::max<int64_t>(1, kSumBlocks / result.groups);
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
    if (!preload_text_.empty()) body += declarations_ + loop_over_packs(preload_text_);
    body += row_text_ + final_loop + of_rows;
    write_frame(code, body, sums, parts, parts_of_sums);
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
      text +=
          concat("for (index_t item = blockIdx.x * ", shape_.threads,
                 "u + threadIdx.x; item < static_cast<index_t>(a.sizes[0]); item += gridDim.x * ",
                 shape_.threads, "u) {\nconst index_t ", kColumnName, " = item * ", shape_.pack,
                 "u;\n", body, "}\n");
    } else if (!has_sums) {
      blocks = (rows_ + teams - 1) / teams;
      code.sizes[0] = rows_;
      text += concat("const index_t ", kRowName, " = blockIdx.x * ", teams, "u + team;\nif (",
                     kRowName, " < static_cast<index_t>(a.sizes[0])) {\n", body, "}\n");
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
          "for (index_t next = first + team; next < last; next += ",
          teams, "u) {\nconst index_t ", kRowName, " = group * of_group + next;\n", body, "}\n");
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
    TAUT_ASSERT(blocks < (int64_t{1} << 31) && chunks < 65536);
    code.grid[0] = static_cast<uint32_t>(blocks);
    code.grid[1] = static_cast<uint32_t>(chunks);
    code.threads = static_cast<uint32_t>(shape_.threads);
    complete(code, text);
  }

  std::string write_total(const Accumulator& sum, const std::string& to) const {
    return concat(sum.name, " = reduce_team<", sum.combine, ", ", shape_.threads, ">(", sum.name,
                  ", room_of<", sum.type, ">(room));\nif (threadIdx.x == 0) ", to,
                  "[blockIdx.y * gridDim.x + blockIdx.x] = ", sum.name, ";\n");
  }

  // Teams hold sums of the same columns: they are combined one team after the other.
  std::string write_columns(const Accumulator& sum, const std::string& to, int teams) const {
    const std::string place = concat(kColumnName, " + e");
    const std::string own = concat(sum.name, "[k * ", shape_.pack, " + e]");
    const auto over_own = [&](const std::string& statement) {
      return loop_over_packs(concat("#pragma unroll\nfor (int e = 0; e < ", shape_.pack,
                                    "; ++e) {\n", statement, "}\n"));
    };
    const std::string target = concat(to, "[static_cast<int64_t>(blockIdx.x) * ", columns_, " + ");
    if (teams == 1) return over_own(concat(target, place, "] = ", own, ";\n"));
    const int64_t width = int64_t{shape_.team} * shape_.packs * shape_.pack;
    const std::string shared_name = concat("columns_", sum.name);
    const std::string at_shared = shape_.is_chunked ? concat(kColumnName, " - chunk + e") : place;
    return concat(
        "__shared__ ", sum.type, " ", shared_name, "[", width, "];\n", "for (index_t t = 0; t < ",
        teams, "u; ++t) {\nif (team == t) {\n",
        over_own(concat(shared_name, "[", at_shared, "] = t == 0 ? ", own, " : ", sum.combine,
                        "::of(", shared_name, "[", at_shared, "], ", own, ");\n")),
        "}\n__syncthreads();\n}\n", "if (team == 0) {\n",
        over_own(concat(target, place, "] = ", shared_name, "[", at_shared, "];\n")), "}\n");
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
      pointers += concat(is_read ? "const " : "", type, "* const p", i, " = static_cast<",
                         is_read ? "const " : "", type, "*>(a.pointers[", i, "]);\n");
    }
    code.kernel = concat(
        "namespace taut::kernels::fusion {\n",
        "using index_t = ", is_wide_ ? "int64_t" : "uint32_t",
        ";\nstruct Arguments {\nvoid* pointers[", kMostPointers, "];\nint64_t sizes[", kSizeCount,
        "];\n};\n__global__ void __launch_bounds__(", code.threads,
        ") fused(const __grid_constant__ Arguments a) {\n",
        text.find("(room)") == std::string::npos ? std::string()
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

  const Graph& graph_;
  const Schedule& schedule_;
  const std::vector<int>& alignments_;
  const MainKernel* kernel_ = nullptr;
  int first_part_ = 0;
  int64_t rows_ = 1;
  int64_t columns_ = 1;
  Shape shape_;
  bool is_dry_ = false;
  bool is_wide_ = false;
  bool finish_sums_ = false;
  int room_ = 32;
  int names_ = 0;
  Variables variables_;
  Index row_at_, column_at_;
  std::vector<Pointer> pointers_;
  std::vector<Access> accesses_;
  std::vector<std::pair<Index, std::vector<int64_t>>> conditions_;
  std::vector<Reduce> reduces_;
  std::map<std::string, int> depths_;
  std::map<NodeId, std::string> results_;
  std::map<std::string, Value> row_values_;
  std::map<std::string, std::string> kept_packs_;
  std::string row_text_, preload_text_, declarations_;
  std::set<kernels::Pointwise> ops_;
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
  const int across = columns_ == 1 ? 1 : 32;
  const int lanes = kFinishThreads / across;
  std::string text =
      concat("const index_t ", kColumnName, " = blockIdx.x * ", across, "u + threadIdx.x % ",
             across, "u;\nconst index_t lane = threadIdx.x / ", across, "u;\n");
  KernelCode code;
  std::vector<DType> part_dtypes;
  for (size_t i = 0; i < finish.sums.size(); ++i) {
    const auto which = static_cast<size_t>(finish.sums[i]);
    const PartialSum& sum = main.sums[which];
    const Node& node = graph_[sum.node];
    const char* type = value_type(node.dtype);
    const char* combine = combine_type(node.reduce);
    const std::string from =
        concat("p", pointer(Pointer::Kind::parts, first_part + finish.sums[i]));
    part_dtypes.push_back(value_dtype(node.dtype));
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
  code.threads = kFinishThreads;
  room_ = kFinishThreads;
  // Parts are declared by the dtype of their sum.
  kernel_ = &main;
  first_part_ = first_part;
  complete(code, text);
  return code;
}

}  // namespace

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

}  // namespace taut::fusion
