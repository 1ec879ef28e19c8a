#include "src/ai/gemini_contents.h"

#include <utility>

#include "src/ai/refusal.h"
#include "src/ai/request_parts.h"
#include "src/ai/response_builder.h"
#include "src/ai/signature.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

class ContentsWriter {
 public:
  ContentsWriter(const ProviderConfig& config, CheckedRequest& request)
      : config_(config), request_(request) {}

  GeminiConversation write() {
    GeminiConversation conversation{nullptr, RequestJson::array()};
    for (const Message& message : request_->messages) {
      if (message.role != Role::system) {
        add(message, conversation.contents);
        continue;
      }
      if (!conversation.contents.empty()) {
        request_.warn("messages: instructions in the middle were moved to the beginning");
      }
      if (conversation.system.is_null()) conversation.system = {{"parts", RequestJson::array()}};
      conversation.system["parts"].push_back({{"text", message.text()}});
    }
    return conversation;
  }

 private:
  /// The results of calls that were made together have to be in one turn.
  void add(const Message& message, RequestJson& contents) {
    const std::string_view role = message.role == Role::assistant ? "model" : "user";
    RequestJson parts = RequestJson::array();
    for (const Part& part : message.parts) {
      RequestJson written =
          std::visit([&](const auto& p) { return part_of(message.role, p); }, part);
      if (!written.is_null()) parts.push_back(std::move(written));
    }
    if (parts.empty()) {
      refuse_request(config_, request_->model, "messages", "messages: a message holds nothing");
    }
    if (!contents.empty() && role == "user" && contents.back()["role"] == "user") {
      for (RequestJson& part : parts) contents.back()["parts"].push_back(std::move(part));
      return;
    }
    contents.push_back({{"role", role}, {"parts", std::move(parts)}});
  }

  RequestJson part_of(Role, const TextPart& part) {
    const auto signature = own_signature("gemini", part.signature);
    if (part.text.empty() && !signature) return {};
    RequestJson written = {{"text", part.text}};
    if (signature) written["thoughtSignature"] = *signature;
    return written;
  }

  RequestJson part_of(Role, const ImagePart& image) {
    const Picture picture = picture_of(config_, request_->model, image);
    if (!image.detail.empty() && image.detail != "auto") {
      request_.lacks("messages", "pictures have no level of detail of their own");
    }
    if (picture.url.empty()) {
      return {{"inlineData", {{"mimeType", picture.media_type}, {"data", picture.base64}}}};
    }
    RequestJson file = {{"fileUri", picture.url}};
    if (!image.media_type.empty()) file["mimeType"] = image.media_type;
    return {{"fileData", std::move(file)}};
  }

  RequestJson part_of(Role role, const ToolCall& call) {
    if (role != Role::assistant) refuse_part(config_, request_->model, "user", "calls of tools");
    names_.emplace_back(call.id, call.name);
    RequestJson function = {{"name", call.name},
                            {"args", call_arguments(config_, request_->model, call)}};
    if (!call.id.empty() && !is_made_up_call_id(call.id)) function["id"] = call.id;
    RequestJson written = {{"functionCall", std::move(function)}};
    if (const auto signature = own_signature("gemini", call.signature)) {
      written["thoughtSignature"] = *signature;
    }
    return written;
  }

  RequestJson part_of(Role role, const ToolResult& result) {
    if (role == Role::assistant) {
      refuse_part(config_, request_->model, "assistant", "results of tools");
    }
    RequestJson function = {{"name", name_of(result)}, {"response", response_of(result)}};
    if (!result.call_id.empty() && !is_made_up_call_id(result.call_id)) {
      function["id"] = result.call_id;
    }
    return {{"functionResponse", std::move(function)}};
  }

  /// Thoughts go back with their signature, or not at all.
  RequestJson part_of(Role role, const ReasoningPart& part) {
    if (role != Role::assistant) refuse_part(config_, request_->model, "user", "reasoning");
    const auto signature = own_signature("gemini", part.signature);
    if (!signature) return {};
    return {{"text", part.text}, {"thought", true}, {"thoughtSignature", *signature}};
  }

  /// Where the result does not say whose it is, the call does.
  std::string name_of(const ToolResult& result) {
    if (!result.name.empty()) return result.name;
    for (const auto& [id, name] : names_) {
      if (id == result.call_id) return name;
    }
    refuse_request(config_, request_->model, "messages",
                   concat("messages: a result of a tool belongs to no call; got call_id '",
                          result.call_id, "'; expected that of an earlier call, or a name"));
  }

  static RequestJson response_of(const ToolResult& result) {
    if (result.is_error) return {{"error", result.content}};
    const std::optional<JsonDocument> json = parse_json(result.content);
    if (json && json->root().is_object()) {
      return parse_user_object(result.content, "messages: result");
    }
    return {{"output", result.content}};
  }

  const ProviderConfig& config_;
  CheckedRequest& request_;
  std::vector<std::pair<std::string, std::string>> names_;  // of the calls so far, by id
};

}  // namespace

GeminiConversation gemini_conversation(const ProviderConfig& config, CheckedRequest& request) {
  return ContentsWriter(config, request).write();
}

}  // namespace taut::ai
