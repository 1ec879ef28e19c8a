#include "src/ai/http.h"

namespace taut::ai {

std::string_view HttpAnswer::header(std::string_view name) const {
  for (const Header& header : headers) {
    if (header.first == name) return header.second;
  }
  return {};
}

}  // namespace taut::ai
