#include "src/ai/openai_tool_calls.h"

#include <utility>

#include "src/ai/request_json.h"

namespace taut::ai {
namespace {

/// A string of JSON, or what a server wrote as an object instead.
std::string arguments_of(const Json& function) {
  const Json& arguments = member(function, "arguments");
  if (arguments.is_null()) return {};
  return arguments.is_string() ? *as<std::string>(arguments) : to_text(arguments);
}

}  // namespace

void ToolCallPieces::add(const Json& pieces, bool is_whole, int candidate, ResponseBuilder& builder,
                         std::vector<StreamEvent>& events) {
  ++delta_;
  for (const Json& piece : pieces) {
    if (!piece.is_object()) continue;
    const Json& function = member(piece, "function");
    const std::optional<int64_t> index = get<int64_t>(piece, "index");
    const std::string id = text_of(piece, "id");
    const std::string name = text_of(function, "name");
    const std::string arguments = arguments_of(function);
    std::optional<size_t> place = is_whole ? std::nullopt : slot_of(index, id, name);
    if (!place) {
      place = slots_.size();
      slots_.push_back({index, id, name, false, 0});
      builder.begin_call(candidate, {id, name, {}, {}}, events);
    }
    Slot& slot = slots_[*place];
    if (slot.id.empty()) slot.id = id;
    if (slot.name.empty() && !name.empty()) {
      slot.name = name;
      builder.call(candidate, static_cast<int>(*place)).name = name;
    }
    slot.has_arguments = slot.has_arguments || !arguments.empty();
    slot.last_delta = delta_;
    builder.add_arguments(candidate, static_cast<int>(*place), arguments, events);
  }
}

std::optional<size_t> ToolCallPieces::slot_of(std::optional<int64_t> index, const std::string& id,
                                              const std::string& name) const {
  if (index) return slot_at(*index, id, name);
  if (slots_.empty()) return std::nullopt;
  if (!id.empty()) {
    for (size_t i = slots_.size(); i-- > 0;) {
      if (slots_[i].id == id) return i;
    }
    return std::nullopt;
  }
  // Without a number and an id, only a name can tell that a call is another one.
  const Slot& last = slots_.back();
  const bool is_other = !name.empty() && (name != last.name || last.last_delta == delta_);
  return is_other && !last.name.empty() ? std::nullopt : std::optional(slots_.size() - 1);
}

std::optional<size_t> ToolCallPieces::slot_at(int64_t index, const std::string& id,
                                              const std::string& name) const {
  for (size_t i = slots_.size(); i-- > 0;) {
    const Slot& slot = slots_[i];
    if (slot.index != index) continue;
    const bool has_other_id = !id.empty() && !slot.id.empty() && id != slot.id;
    const bool has_other_name =
        id.empty() && slot.id.empty() && !name.empty() && slot.has_arguments && name != slot.name;
    return has_other_id || has_other_name ? std::nullopt : std::optional(i);
  }
  return std::nullopt;
}

}  // namespace taut::ai
