// See Note [Levels].

#include "src/fusion/value_writer.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "src/fusion/index_maps.h"
#include "src/fusion/sources.h"
#include "taut/base/check.h"

namespace taut::fusion {

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

// bool as the number 0 or 1.
const char* compute_type(DType dtype) {
  return dtype == DType::bool_ ? "uint8_t" : value_type(dtype);
}

namespace {

std::string literal(double value) {
  const std::string limits = "std::numeric_limits<double>::";
  if (std::isnan(value)) return limits + "quiet_NaN()";
  if (std::isinf(value)) return concat(value > 0 ? "" : "-", limits, "infinity()");
  char text[40];
  std::snprintf(text, sizeof(text), value < 0 ? "(%a)" : "%a", value);
  return text;
}

}  // namespace

void ValueWriter::begin() {
  variables_.clear();
  pointers_.clear();
  accesses_.clear();
  conditions_.clear();
  row_values_.clear();
  row_text_.clear();
  kept_.clear();
  kept_names_.clear();
  names_ = 0;
}

int ValueWriter::pointer(Pointer::Kind kind, int index) {
  for (size_t i = 0; i < pointers_.size(); ++i) {
    if (pointers_[i].kind == kind && pointers_[i].index == index) return static_cast<int>(i);
  }
  pointers_.push_back({kind, index});
  return static_cast<int>(pointers_.size()) - 1;
}

int ValueWriter::pointer_of_leaf(int argument) {
  return argument < schedule_.arguments
             ? pointer(Pointer::Kind::argument, argument)
             : pointer(Pointer::Kind::buffer, argument - schedule_.arguments);
}

int ValueWriter::alignment_of(const Node& leaf) const {
  return leaf.argument < schedule_.arguments ? alignments_[static_cast<size_t>(leaf.argument)]
                                             : kPackBytes;
}

bool ValueWriter::varies(const Index& index) const {
  for (const Index::Term& term : index.terms) {
    if (variables_[static_cast<size_t>(term.variable)].is_column) return true;
  }
  return false;
}

bool ValueWriter::has_rows(const Index& index) const {
  for (const Index::Term& term : index.terms) {
    const Variable& variable = variables_[static_cast<size_t>(term.variable)];
    // A quotient may be made of both.
    if (!variable.is_column || !variable.quotient.empty()) return true;
  }
  return false;
}

bool ValueWriter::has_quotient_of_columns(const Index& index) const {
  for (const Index::Term& term : index.terms) {
    const Variable& variable = variables_[static_cast<size_t>(term.variable)];
    if (variable.is_column && !variable.quotient.empty()) return true;
  }
  return false;
}

ValueWriter::Lane ValueWriter::lane_of(const Index& index) const {
  const std::vector<Run> runs = runs_of(index, variables_, /*of_columns=*/true);
  if (runs.empty()) return {};
  const Variable& first = variables_[static_cast<size_t>(runs[0].first)];
  return {first.below * first.size, runs[0].factor};
}

bool ValueWriter::is_multiple(const Index& index, int64_t unit) const {
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

bool ValueWriter::is_pack(const Access& access) const {
  if (has_quotient_of_columns(access.address)) return false;
  const auto bytes = static_cast<int>(item_size(access.dtype)) * shape_.pack;
  return lane_of(access.address).factor == 1 && is_multiple(access.address, shape_.pack) &&
         access.alignment >= std::min(bytes, kPackBytes);
}

std::string ValueWriter::name(const char* letter) { return concat(letter, names_++); }

std::string ValueWriter::key_of(NodeId id, const std::vector<Index>& at, const std::string& guard) {
  std::string key = concat(id, guard);
  for (const Index& index : at) {
    key += concat("|", index.constant);
    for (const Index::Term& term : index.terms) key += concat("+", term.variable, "*", term.factor);
  }
  return key;
}

Value ValueWriter::declare(Scope& scope, Level level, DType dtype, const std::string& expression) {
  Value value{name("v"), level, dtype};
  std::string& text = level == Level::row    ? row_text_
                      : level == Level::pack ? scope.loads
                                             : scope.elements;
  text += concat("const ", value_type(dtype), " ", value.text, " = ", expression, ";\n");
  return value;
}

Value ValueWriter::value_of(NodeId id, const std::vector<Index>& at, const std::string& guard,
                            Scope& scope) {
  const std::string key = key_of(id, at, guard);
  const auto in_row = row_values_.find(key);
  if (in_row != row_values_.end()) return in_row->second;
  const auto in_scope = scope.values.find(key);
  if (in_scope != scope.values.end()) return in_scope->second;
  Value value = make_value(id, at, guard, scope);
  (value.level == Level::row ? row_values_ : scope.values)[key] = value;
  return value;
}

Value ValueWriter::make_value(NodeId id, const std::vector<Index>& at, const std::string& guard,
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

Value ValueWriter::input_value(const Node& node, size_t input, const std::vector<Index>& at,
                               const std::string& guard, Scope& scope) {
  return value_of(node.inputs[input], input_index(graph_, node, input, at, variables_), guard,
                  scope);
}

std::string ValueWriter::cast_text(const Value& value, DType dtype) {
  if (dtype == DType::bool_) return concat(value.text, " != 0");
  if (dtype == DType::float16 || dtype == DType::bfloat16) {
    return concat("widen(narrow<", memory_type(dtype), ">(", value.text, "))");
  }
  return concat("static_cast<", value_type(dtype), ">(", value.text, ")");
}

Value ValueWriter::functor(const Node& node, const std::vector<Index>& at, const std::string& guard,
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

std::string ValueWriter::both(const std::string& guard, const std::string& condition) {
  return guard.empty() ? condition : concat(guard, " && ", condition);
}

std::string ValueWriter::is_below(const Index& index, int64_t bound) {
  Index rest = index;
  rest.constant = 0;
  return concat("(", text_of(rest, variables_), " < ", bound - index.constant, ")");
}

Level ValueWriter::level_of(const Index& index) const {
  return varies(index) ? Level::pack : Level::row;
}

Value ValueWriter::joined(const Node& node, const std::vector<Index>& at, const std::string& guard,
                          Scope& scope) {
  const Index& index = at[static_cast<size_t>(node.dim)];
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
      Value part = input_value(node, i, at, mine, scope);
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

std::vector<int64_t>& ValueWriter::condition_of(const Index& index) {
  for (auto& [known, bounds] : conditions_) {
    if (known == index) return bounds;
  }
  conditions_.emplace_back(index, std::vector<int64_t>{});
  return conditions_.back().second;
}

Value ValueWriter::overlaid(const Node& node, const std::vector<Index>& at,
                            const std::string& guard, Scope& scope) {
  const Index& index = at[static_cast<size_t>(node.dim)];
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

Value ValueWriter::load(const Node& node, const std::vector<Index>& at, const std::string& guard,
                        Scope& scope) {
  const Index address = linear(at, node.layout.strides) + constant_index(node.layout.offset);
  const int position = pointer_of_leaf(node.argument);
  const std::string from = concat("p", position);
  const Access access{node.dtype, address, alignment_of(node), position, guard, /*is_load=*/true};
  const auto is_same = [&](const Access& known) {
    return known.is_load && known.pointer == position && known.address == address &&
           known.guard == guard;
  };
  if (is_dry_ && std::none_of(accesses_.begin(), accesses_.end(), is_same)) {
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
                   guard.empty()
                       ? element
                       : concat("(", guard, ") ? ", element, " : ", value_type(node.dtype), "(0)"));
  }
  if (shape_.pack == 1 || lane.factor == 0) {
    return declare(scope, shape_.pack == 1 ? Level::element : Level::pack, node.dtype, guarded);
  }
  return declare(scope, Level::element, node.dtype,
                 concat("widen(", pack_of(node, from, address, guard, scope), ".values[e])"));
}

std::string ValueWriter::pack_of(const Node& node, const std::string& from, const Index& address,
                                 const std::string& guard, Scope& scope) {
  const std::string type = concat("Pack<", memory_type(node.dtype), ", ", shape_.pack, ">");
  const std::string place = concat(from, " + (", text_of(address, variables_), ")");
  const std::string key = concat(place, " ", guard);
  if (!shape_.kept) {
    return scope_pack(scope, key, type, guard, concat("load_pack<", shape_.pack, ">(", place, ")"));
  }
  auto found = kept_names_.find(key);
  if (found == kept_names_.end()) {
    const bool of_row = has_rows(address) || guard.find(kRowName) != std::string::npos;
    const int bytes = static_cast<int>(item_size(node.dtype)) * shape_.pack;
    found = kept_names_.emplace(key, kept_.size()).first;
    kept_.push_back({name("w"), type, guard, place, bytes, of_row});
  }
  const KeptPack& pack = kept_[found->second];
  if (!is_staged(pack)) return pack.name + "[k]";
  return scope_pack(scope, key, type, "", concat(pack.name, "[k * ", shape_.threads, "]"));
}

std::string ValueWriter::scope_pack(Scope& scope, const std::string& key, const std::string& type,
                                    const std::string& guard, const std::string& value) {
  const auto found = scope.packs.find(key);
  if (found != scope.packs.end()) return found->second;
  std::string result = name("w");
  scope.packs[key] = result;
  scope.loads += guard.empty() ? concat("const ", type, " ", result, " = ", value, ";\n")
                               : concat(type, " ", result, " = {};\nif (", guard, ") ", result,
                                        " = ", value, ";\n");
  return result;
}

Value ValueWriter::reduced(NodeId id) {
  const auto found = results_.find(id);
  TAUT_ASSERT(found != results_.end());
  return {found->second, finish_sums_ ? Level::element : Level::row, graph_[id].dtype};
}

}  // namespace taut::fusion
