#include "src/ai/think_splitter.h"

#include <algorithm>
#include <utility>

namespace taut::ai {
namespace {

constexpr std::string_view kOpen = "<think>";
constexpr std::string_view kClose = "</think>";
constexpr std::string_view kSpace = " \t\r\n";

// More white space than this before a mark, and it is an answer that begins with white space.
constexpr size_t kMostSpace = 1024;

/// How many bytes at the end of the text may be the beginning of the mark.
size_t begun(std::string_view text, std::string_view mark) {
  for (size_t length = std::min(text.size(), mark.size() - 1); length > 0; --length) {
    if (text.substr(text.size() - length) == mark.substr(0, length)) return length;
  }
  return 0;
}

}  // namespace

ThinkSplitter::Pieces ThinkSplitter::add(std::string_view piece) {
  Pieces pieces;
  held_.append(piece);
  if (state_ == State::before) {
    const size_t begin = held_.find_first_not_of(kSpace);
    const bool is_space = begin == std::string::npos;
    if (is_space && held_.size() <= kMostSpace) return pieces;
    const std::string_view rest = std::string_view(held_).substr(is_space ? held_.size() : begin);
    if (!is_space && rest.substr(0, kOpen.size()) == kOpen) {
      held_.erase(0, begin + kOpen.size());
      state_ = State::inside;
    } else if (!is_space && rest == kOpen.substr(0, rest.size())) {
      return pieces;
    } else {
      state_ = State::after;
    }
  }
  if (state_ == State::inside) {
    const size_t end = held_.find(kClose);
    const bool is_closed = end != std::string::npos;
    const size_t length = is_closed ? end : held_.size() - begun(held_, kClose);
    pieces.reasoning = held_.substr(0, length);
    held_.erase(0, is_closed ? end + kClose.size() : length);
    if (!is_closed) return pieces;
    state_ = State::after_mark;
  }
  if (state_ == State::after_mark) {
    held_.erase(0, std::min(held_.find_first_not_of(kSpace), held_.size()));
    if (held_.empty()) return pieces;
    state_ = State::after;
  }
  pieces.text = std::exchange(held_, {});
  return pieces;
}

ThinkSplitter::Pieces ThinkSplitter::finish() {
  Pieces pieces;
  std::string& last = state_ == State::inside ? pieces.reasoning : pieces.text;
  last = std::exchange(held_, {});
  return pieces;
}

}  // namespace taut::ai
