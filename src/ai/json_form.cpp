#include "src/ai/json_form.h"

namespace taut::ai::form {
namespace {

constexpr int kMaximumDepth = 128;

}  // namespace

Json parse(std::string_view text, std::string_view what) {
  const auto bounded = [&](int depth, Json::parse_event_t, const Json&) {
    TAUT_CHECK(depth <= kMaximumDepth, ValueError, what, ": JSON nests too deep; expected at most ",
               kMaximumDepth, " levels");
    return true;
  };
  try {
    return Json::parse(text, bounded);
  } catch (const Json::exception& error) {
    throw ValueError(concat(what, ": not JSON: ", error.what()));
  }
}

std::string dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace taut::ai::form
