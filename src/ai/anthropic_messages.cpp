#include "src/ai/anthropic_messages.h"

#include <utility>

#include "src/ai/refusal.h"
#include "src/ai/request_parts.h"
#include "src/ai/signature.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

RequestJson text_block(const std::string& text) { return {{"type", "text"}, {"text", text}}; }

class ConversationWriter {
 public:
  ConversationWriter(const ProviderConfig& config, CheckedRequest& request)
      : config_(config), request_(request) {}

  AnthropicConversation write() {
    AnthropicConversation conversation{nullptr, RequestJson::array()};
    bool is_beginning = true;
    for (const Message& message : request_->messages) {
      const bool is_system = message.role == Role::system;
      if (is_system && is_beginning) {
        add_system(message, conversation.system);
        continue;
      }
      is_beginning = false;
      add(is_system ? "system" : role_of(message), blocks_of(message), conversation.messages);
    }
    return conversation;
  }

 private:
  static std::string_view role_of(const Message& message) {
    return message.role == Role::assistant ? "assistant" : "user";
  }

  void add_system(const Message& message, RequestJson& system) {
    for (RequestJson& block : blocks_of(message)) {
      if (system.is_null()) system = RequestJson::array();
      system.push_back(std::move(block));
    }
  }

  /// The results of calls that were made together have to be in one message.
  void add(std::string_view role, RequestJson blocks, RequestJson& messages) {
    if (blocks.empty()) {
      refuse_request(config_, request_->model, "messages", "messages: a message holds nothing");
    }
    if (!messages.empty() && role == "user" && messages.back()["role"] == "user") {
      for (RequestJson& block : blocks) messages.back()["content"].push_back(std::move(block));
      return;
    }
    messages.push_back({{"role", role}, {"content", std::move(blocks)}});
  }

  RequestJson blocks_of(const Message& message) {
    RequestJson blocks = RequestJson::array();
    for (const Part& part : message.parts) {
      RequestJson block =
          std::visit([&](const auto& p) { return block_of(message.role, p); }, part);
      if (!block.is_null()) blocks.push_back(std::move(block));
    }
    return blocks;
  }

  /// An empty text is refused by the server, and says nothing.
  RequestJson block_of(Role, const TextPart& part) {
    return part.text.empty() ? RequestJson() : text_block(part.text);
  }

  RequestJson block_of(Role role, const ImagePart& image) {
    if (role != Role::user) refuse("pictures");
    const Picture picture = picture_of(config_, request_->model, image);
    if (!image.detail.empty() && image.detail != "auto") {
      request_.lacks("messages", "pictures have no level of detail");
    }
    if (!picture.url.empty()) {
      return {{"type", "image"}, {"source", {{"type", "url"}, {"url", picture.url}}}};
    }
    return {{"type", "image"},
            {"source",
             {{"type", "base64"}, {"media_type", picture.media_type}, {"data", picture.base64}}}};
  }

  RequestJson block_of(Role role, const ToolCall& call) {
    if (role != Role::assistant) refuse("calls of tools");
    return {{"type", "tool_use"},
            {"id", call.id},
            {"name", call.name},
            {"input", call_arguments(config_, request_->model, call)}};
  }

  RequestJson block_of(Role role, const ToolResult& result) {
    if (role == Role::assistant || role == Role::system) refuse("results of tools");
    RequestJson block = {
        {"type", "tool_result"}, {"tool_use_id", result.call_id}, {"content", result.content}};
    if (result.is_error) block["is_error"] = true;
    return block;
  }

  /// Thoughts go back with their signature, or not at all.
  RequestJson block_of(Role role, const ReasoningPart& part) {
    if (role != Role::assistant) refuse("reasoning");
    if (const auto block = own_signature("anthropic-block", part.redacted);
        block && block->front() == '{') {
      return parse_user_object(*block, "messages: a block of the provider's own");
    }
    if (const auto data = own_signature("anthropic", part.redacted)) {
      return {{"type", "redacted_thinking"}, {"data", *data}};
    }
    if (const auto signature = own_signature("anthropic", part.signature)) {
      return {{"type", "thinking"}, {"thinking", part.text}, {"signature", *signature}};
    }
    return {};
  }

  [[noreturn]] void refuse(std::string_view part) {
    refuse_part(config_, request_->model, "another role", part);
  }

  const ProviderConfig& config_;
  CheckedRequest& request_;
};

}  // namespace

AnthropicConversation anthropic_conversation(const ProviderConfig& config,
                                             CheckedRequest& request) {
  return ConversationWriter(config, request).write();
}

}  // namespace taut::ai
