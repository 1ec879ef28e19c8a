#include "src/ai/openai_messages.h"

#include <utility>

#include "src/ai/known_models.h"
#include "src/ai/refusal.h"
#include "src/ai/request_parts.h"

namespace taut::ai {
namespace {

std::string_view system_role(const ProviderConfig& config, const std::string& model) {
  return config.vendor == Vendor::openai && has_developer_role(model) ? "developer" : "system";
}

/// Where this vendor wants the thoughts of earlier answers back; nowhere for most.
std::string_view reasoning_field(Vendor vendor) {
  switch (vendor) {
    case Vendor::xai:
    case Vendor::llama_cpp: return "reasoning_content";
    case Vendor::vllm:
    case Vendor::ollama: return "reasoning";
    default: return {};
  }
}

class MessageWriter {
 public:
  MessageWriter(const ProviderConfig& config, const std::string& model)
      : config_(config), model_(model) {}

  void write(const Message& message) {
    if (message.parts.empty()) {
      refuse_request(config_, model_, "messages", "messages: a message has no parts");
    }
    switch (message.role) {
      case Role::system: return write_text(message, system_role(config_, model_));
      case Role::assistant: return write_assistant(message);
      case Role::user:
      case Role::tool: return write_user(message);
    }
  }
  RequestJson take() { return std::move(messages_); }

 private:
  void write_text(const Message& message, std::string_view role) {
    for (const Part& part : message.parts) {
      if (!std::holds_alternative<TextPart>(part)) refuse_part(config_, model_, role, "this part");
    }
    messages_.push_back({{"role", role}, {"content", message.text()}});
  }

  void write_assistant(const Message& message) {
    RequestJson calls = RequestJson::array();
    std::string reasoning;
    for (const Part& part : message.parts) {
      if (const auto* call = std::get_if<ToolCall>(&part)) {
        const std::string arguments = call->arguments.empty() ? "{}" : call->arguments;
        calls.push_back({{"id", call->id},
                         {"type", "function"},
                         {"function", {{"name", call->name}, {"arguments", arguments}}}});
      } else if (const auto* thought = std::get_if<ReasoningPart>(&part)) {
        reasoning += thought->text;
      } else if (!std::holds_alternative<TextPart>(part)) {
        refuse_part(config_, model_, "assistant", "pictures or results of tools");
      }
    }
    RequestJson written = {{"role", "assistant"}};
    const std::string text = message.text();
    written["content"] = text.empty() && !calls.empty() ? RequestJson() : RequestJson(text);
    if (!calls.empty()) written["tool_calls"] = std::move(calls);
    const std::string_view field = reasoning_field(config_.vendor);
    if (!field.empty() && !reasoning.empty()) written[std::string(field)] = std::move(reasoning);
    messages_.push_back(std::move(written));
  }

  /// Results of tools are messages of their own here.
  void write_user(const Message& message) {
    RequestJson parts = RequestJson::array();
    bool has_images = false;
    for (const Part& part : message.parts) {
      if (const auto* text = std::get_if<TextPart>(&part)) {
        parts.push_back({{"type", "text"}, {"text", text->text}});
      } else if (const auto* image = std::get_if<ImagePart>(&part)) {
        parts.push_back({{"type", "image_url"}, {"image_url", image_url(*image)}});
        has_images = true;
      } else if (const auto* result = std::get_if<ToolResult>(&part)) {
        messages_.push_back(
            {{"role", "tool"}, {"tool_call_id", result->call_id}, {"content", result->content}});
      } else {
        refuse_part(config_, model_, "user", "calls of tools or reasoning");
      }
    }
    if (message.role == Role::tool && !parts.empty()) {
      refuse_part(config_, model_, "tool", "anything but results of tools");
    }
    const bool is_plain = !has_images && parts.size() == 1;
    if (parts.empty()) return;
    messages_.push_back({{"role", "user"}, {"content", is_plain ? parts[0]["text"] : parts}});
  }

  RequestJson image_url(const ImagePart& image) {
    RequestJson written = {{"url", picture_of(config_, model_, image).as_url()}};
    if (!image.detail.empty()) written["detail"] = image.detail;
    return written;
  }

  const ProviderConfig& config_;
  const std::string& model_;
  RequestJson messages_ = RequestJson::array();
};

}  // namespace

RequestJson openai_messages(const ProviderConfig& config, const ChatRequest& request) {
  MessageWriter writer(config, request.model);
  for (const Message& message : request.messages) writer.write(message);
  return writer.take();
}

}  // namespace taut::ai
