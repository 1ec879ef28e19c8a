#pragma once
// What a conversation is made of.
//   std::vector<Message> messages = {Message::system("Answer briefly."), Message::user("Why?")};
// JSON stands in strings of JSON text.

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "taut/base/macros.h"

namespace taut::ai {

enum class Role : uint8_t { system, user, assistant, tool };

struct TextPart {
  std::string text;
  std::string signature = {};  // what the provider wants back unchanged; opaque, and mostly empty
};

/// A picture: at an address, or as bytes.
struct ImagePart {
  std::string url;         // https, or a data: URL; empty where `bytes` holds the picture
  std::string media_type;  // of `bytes`: image/png, image/jpeg, image/webp or image/gif
  std::string bytes;       // as in the file
  std::string detail;      // low, high or auto; empty: the provider's own choice
};

/// What the model wants a function called with.
struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // JSON text, as the model wrote it: it may be wrong
  std::string signature;  // what the provider wants back unchanged; opaque
};

/// What that function gave.
struct ToolResult {
  std::string call_id;
  std::string name;     // of the function
  std::string content;  // text or JSON text
  bool is_error = false;
};

/// What the model thought before it answered. It goes back unchanged where a conversation goes on.
struct ReasoningPart {
  std::string text;
  std::string signature;  // opaque, as `redacted`
  std::string redacted;   // what the provider hides of it
};

using Part = std::variant<TextPart, ImagePart, ToolCall, ToolResult, ReasoningPart>;

struct Message {
  Role role = Role::user;
  std::vector<Part> parts;

  static Message system(std::string text) { return {Role::system, {TextPart{std::move(text)}}}; }
  static Message user(std::string text) { return {Role::user, {TextPart{std::move(text)}}}; }
  static Message assistant(std::string text) {
    return {Role::assistant, {TextPart{std::move(text)}}};
  }
  static Message tool(ToolResult result) { return {Role::tool, {std::move(result)}}; }

  /// The texts of it, one after the other.
  TAUT_API std::string text() const;
};

}  // namespace taut::ai
