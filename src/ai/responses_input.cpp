#include "src/ai/responses_input.h"

#include <utility>

#include "src/ai/known_models.h"
#include "src/ai/refusal.h"
#include "src/ai/request_parts.h"
#include "src/ai/signature.h"

namespace taut::ai {
namespace {

class InputWriter {
 public:
  InputWriter(const ProviderConfig& config, const ChatRequest& request)
      : config_(config), request_(request) {}

  ResponsesConversation write() {
    for (const Message& message : request_.messages) {
      if (message.parts.empty()) {
        refuse_request(config_, request_.model, "messages", "messages: a message has no parts");
      }
      if (message.role == Role::system) {
        add_system(message.text());
      } else {
        add(message);
      }
    }
    return std::move(conversation_);
  }

 private:
  void add_system(const std::string& text) {
    if (!conversation_.input.empty()) {
      const bool is_developer = has_developer_role(request_.model);
      conversation_.input.push_back(
          {{"role", is_developer ? "developer" : "system"}, {"content", text}});
      return;
    }
    if (!conversation_.instructions.empty()) conversation_.instructions += "\n\n";
    conversation_.instructions += text;
  }

  /// Calls, results and reasoning are items between the messages.
  void add(const Message& message) {
    content_ = RequestJson::array();
    for (const Part& part : message.parts) {
      std::visit([&](const auto& p) { add_part(message.role, p); }, part);
    }
    end_message(message.role);
  }

  void end_message(Role role) {
    if (content_.empty()) return;
    const bool is_plain = content_.size() == 1 && content_[0].contains("text");
    RequestJson content = is_plain ? content_[0]["text"] : content_;
    content_ = RequestJson::array();
    conversation_.input.push_back({{"role", role == Role::assistant ? "assistant" : "user"},
                                   {"content", std::move(content)}});
  }

  /// The assistant's words are plain text, whatever their number of parts.
  void add_part(Role role, const TextPart& part) {
    if (part.text.empty()) return;
    if (role != Role::assistant || content_.empty()) {
      content_.push_back({{"type", "input_text"}, {"text", part.text}});
    } else {
      content_[0]["text"] = content_[0]["text"].get<std::string>() + part.text;
    }
  }

  void add_part(Role role, const ImagePart& image) {
    if (role != Role::user) refuse_part(config_, request_.model, "assistant", "pictures");
    content_.push_back({{"type", "input_image"},
                        {"image_url", picture_of(config_, request_.model, image).as_url()},
                        {"detail", image.detail.empty() ? "auto" : image.detail}});
  }

  void add_part(Role role, const ToolCall& call) {
    if (role != Role::assistant) refuse_part(config_, request_.model, "user", "calls of tools");
    end_message(role);
    conversation_.input.push_back({{"type", "function_call"},
                                   {"call_id", call.id},
                                   {"name", call.name},
                                   {"arguments", call.arguments.empty() ? "{}" : call.arguments}});
  }

  void add_part(Role role, const ToolResult& result) {
    if (role == Role::assistant) {
      refuse_part(config_, request_.model, "assistant", "results of tools");
    }
    end_message(role);
    conversation_.input.push_back({{"type", "function_call_output"},
                                   {"call_id", result.call_id},
                                   {"output", result.content}});
  }

  /// Nothing is stored with the provider: it can read its thoughts only where it sealed them
  /// itself.
  void add_part(Role role, const ReasoningPart& part) {
    if (role != Role::assistant) refuse_part(config_, request_.model, "user", "reasoning");
    const auto item = own_signature("responses", part.signature);
    if (!item || item->front() != '{') return;
    RequestJson written = parse_user_object(*item, "messages: reasoning of the provider's own");
    if (!written.contains("encrypted_content") || written["encrypted_content"].is_null()) return;
    end_message(role);
    conversation_.input.push_back(std::move(written));
  }

  const ProviderConfig& config_;
  const ChatRequest& request_;
  ResponsesConversation conversation_{{}, RequestJson::array()};
  RequestJson content_;
};

}  // namespace

ResponsesConversation responses_conversation(const ProviderConfig& config,
                                             const ChatRequest& request) {
  return InputWriter(config, request).write();
}

}  // namespace taut::ai
