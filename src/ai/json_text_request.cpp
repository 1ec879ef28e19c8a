#include <utility>

#include "src/ai/base64.h"
#include "src/ai/json_parts.h"
#include "taut/ai/json_text.h"

namespace taut::ai {
namespace form {
namespace {

constexpr std::string_view kRoles[] = {"system", "user", "assistant", "tool"};
constexpr std::string_view kChoices[] = {"automatic", "none", "required", "named"};
constexpr std::string_view kFormats[] = {"text", "json_object", "json_schema"};
constexpr std::string_view kPolicies[] = {"error", "drop_with_warning"};

template <class E, size_t N>
std::string word(const std::string_view (&names)[N], E value) {
  return std::string(names[static_cast<size_t>(value)]);
}

struct PartForm {
  Json operator()(const TextPart& part) const {
    return Writer().put("type", "text").put("text", part.text).take();
  }
  Json operator()(const ImagePart& part) const {
    return Writer()
        .put("type", "image")
        .set("url", part.url)
        .set("media_type", part.media_type)
        .set("bytes", base64_encode(part.bytes))
        .set("detail", part.detail)
        .take();
  }
  Json operator()(const ToolCall& part) const { return form_of(part); }
  Json operator()(const ToolResult& part) const {
    return Writer()
        .put("type", "tool_result")
        .set("call_id", part.call_id)
        .set("name", part.name)
        .put("content", part.content)
        .set("is_error", part.is_error)
        .take();
  }
  Json operator()(const ReasoningPart& part) const {
    return Writer()
        .put("type", "reasoning")
        .set("text", part.text)
        .set("signature", part.signature)
        .set("redacted", part.redacted)
        .take();
  }
};

ImagePart image_of(Reader& reader) {
  ImagePart part;
  std::string bytes;
  reader.get("url", part.url)
      .get("media_type", part.media_type)
      .get("bytes", bytes)
      .get("detail", part.detail)
      .finish();
  const std::optional<std::vector<uint8_t>> decoded = base64_decode(bytes);
  TAUT_CHECK(decoded.has_value(), ValueError, "image: bytes: not base64");
  part.bytes.assign(decoded->begin(), decoded->end());
  return part;
}

Json form_of(const Tool& tool) {
  return Writer()
      .put("name", tool.name)
      .set("description", tool.description)
      .set("parameters", tool.parameters)
      .set("strict", tool.strict)
      .take();
}

Tool tool_of(const Json& value) {
  Tool tool;
  Reader(value, "tool")
      .get("name", tool.name)
      .get("description", tool.description)
      .get("parameters", tool.parameters)
      .get("strict", tool.strict)
      .finish();
  return tool;
}

Json form_of(const ResponseFormat& format) {
  return Writer()
      .put("kind", word(kFormats, format.kind))
      .put("name", format.name)
      .set("schema", format.schema)
      .set("strict", format.strict, true)
      .take();
}

ResponseFormat format_of(const Json& value) {
  ResponseFormat format;
  Reader(value, "format")
      .choice("kind", format.kind, kFormats)
      .get("name", format.name)
      .get("schema", format.schema)
      .get("strict", format.strict)
      .finish();
  return format;
}

ToolChoice choice_of(const Json& value) {
  ToolChoice choice;
  Reader(value, "tool_choice")
      .choice("kind", choice.kind, kChoices)
      .get("name", choice.name)
      .finish();
  return choice;
}

std::pair<std::string, std::string> header_of(const Json& value) {
  TAUT_CHECK(value.is_array() && value.size() == 2 && value[0].is_string() && value[1].is_string(),
             ValueError, "headers: expected pairs of a name and a value");
  return {value[0].get<std::string>(), value[1].get<std::string>()};
}

template <class T>
std::optional<Json> optional_form(const std::optional<T>& value) {
  if (!value) return std::nullopt;
  return form_of(*value);
}

BatchRequest::Item item_of(const Json& value) {
  BatchRequest::Item item;
  Reader(value, "batch item")
      .get("id", item.id)
      .one("request", item.request, chat_request_of)
      .finish();
  return item;
}

}  // namespace

Json form_of(const ToolCall& call) {
  return Writer()
      .put("type", "tool_call")
      .set("id", call.id)
      .put("name", call.name)
      .set("arguments", call.arguments)
      .set("signature", call.signature)
      .take();
}

Json form_of(const Part& part) { return std::visit(PartForm(), part); }

Json form_of(const Message& message) {
  return Writer()
      .put("role", word(kRoles, message.role))
      .list("parts", message.parts, [](const Part& part) { return form_of(part); })
      .take();
}

Json form_of(const ChatRequest& request) {
  Writer writer;
  writer.put("model", request.model)
      .list("messages", request.messages, [](const Message& message) { return form_of(message); })
      .set("max_output_tokens", request.max_output_tokens)
      .set("temperature", request.temperature)
      .set("top_p", request.top_p)
      .set("top_k", request.top_k)
      .set("presence_penalty", request.presence_penalty)
      .set("frequency_penalty", request.frequency_penalty)
      .set("seed", request.seed)
      .set("stop", request.stop)
      .set("reasoning_effort", request.reasoning_effort)
      .set("candidates", request.candidates)
      .set("format", optional_form(request.format))
      .list("tools", request.tools, [](const Tool& tool) { return form_of(tool); })
      .set("parallel_tool_calls", request.parallel_tool_calls)
      .set("logprobs", request.logprobs)
      .set("top_logprobs", request.top_logprobs)
      .set("user", request.user)
      .set("extra", request.extra)
      .list("headers", request.headers,
            [](const auto& header) { return Json::array({header.first, header.second}); });
  if (request.tool_choice) {
    writer.put("tool_choice", Writer()
                                  .put("kind", word(kChoices, request.tool_choice->kind))
                                  .set("name", request.tool_choice->name)
                                  .take());
  }
  if (request.features != FeaturePolicy::error) {
    writer.put("features", word(kPolicies, request.features));
  }
  return writer.set("deadline", request.deadline).set("task", request.task).take();
}

ToolCall tool_call_of(const Json& value) {
  ToolCall call;
  std::string type;
  Reader(value, "tool call")
      .get("type", type)
      .get("id", call.id)
      .get("name", call.name)
      .get("arguments", call.arguments)
      .get("signature", call.signature)
      .finish();
  return call;
}

Part part_of(const Json& value) {
  Reader reader(value, "part");
  std::string type;
  reader.get("type", type);
  if (type == "text") {
    TextPart part;
    reader.get("text", part.text).finish();
    return part;
  }
  if (type == "image") return image_of(reader);
  if (type == "tool_call") return tool_call_of(value);
  if (type == "tool_result") {
    ToolResult part;
    reader.get("call_id", part.call_id)
        .get("name", part.name)
        .get("content", part.content)
        .get("is_error", part.is_error)
        .finish();
    return part;
  }
  TAUT_CHECK(type == "reasoning", ValueError, "part: unknown type; got '", type,
             "'; expected text, image, tool_call, tool_result or reasoning");
  ReasoningPart part;
  reader.get("text", part.text)
      .get("signature", part.signature)
      .get("redacted", part.redacted)
      .finish();
  return part;
}

Message message_of(const Json& value) {
  Message message;
  Reader(value, "message")
      .choice("role", message.role, kRoles)
      .list("parts", message.parts, part_of)
      .finish();
  return message;
}

ChatRequest chat_request_of(const Json& value) {
  ChatRequest request;
  Reader reader(value, "request");
  reader.get("model", request.model)
      .list("messages", request.messages, message_of)
      .get("max_output_tokens", request.max_output_tokens)
      .get("temperature", request.temperature)
      .get("top_p", request.top_p)
      .get("top_k", request.top_k)
      .get("presence_penalty", request.presence_penalty)
      .get("frequency_penalty", request.frequency_penalty)
      .get("seed", request.seed)
      .get("stop", request.stop)
      .get("reasoning_effort", request.reasoning_effort)
      .get("candidates", request.candidates)
      .one("format", request.format, [](const Json& format) { return format_of(format); })
      .list("tools", request.tools, tool_of)
      .one("tool_choice", request.tool_choice, [](const Json& choice) { return choice_of(choice); })
      .get("parallel_tool_calls", request.parallel_tool_calls)
      .get("logprobs", request.logprobs)
      .get("top_logprobs", request.top_logprobs)
      .get("user", request.user)
      .get("extra", request.extra)
      .list("headers", request.headers, header_of)
      .choice("features", request.features, kPolicies)
      .get("deadline", request.deadline)
      .get("task", request.task)
      .finish();
  return request;
}

}  // namespace form

std::string to_json(const Message& message) { return form::dump(form::form_of(message)); }

std::string to_json(const ChatRequest& request) { return form::dump(form::form_of(request)); }

std::string to_json(const EmbeddingRequest& request) {
  return form::dump(form::Writer()
                        .put("model", request.model)
                        .put("inputs", request.inputs)
                        .set("dimensions", request.dimensions)
                        .set("task_type", request.task_type)
                        .set("extra", request.extra)
                        .set("deadline", request.deadline)
                        .set("task", request.task)
                        .take());
}

std::string to_json(const BatchRequest& request) {
  return form::dump(form::Writer()
                        .list("items", request.items,
                              [](const BatchRequest::Item& item) {
                                return form::Writer()
                                    .put("id", item.id)
                                    .put("request", form::form_of(item.request))
                                    .take();
                              })
                        .take());
}

ChatRequest chat_request_from_json(std::string_view text) {
  return form::chat_request_of(form::parse(text, "request"));
}

EmbeddingRequest embedding_request_from_json(std::string_view text) {
  EmbeddingRequest request;
  const form::Json value = form::parse(text, "request");
  form::Reader(value, "request")
      .get("model", request.model)
      .get("inputs", request.inputs)
      .get("dimensions", request.dimensions)
      .get("task_type", request.task_type)
      .get("extra", request.extra)
      .get("deadline", request.deadline)
      .get("task", request.task)
      .finish();
  return request;
}

BatchRequest batch_request_from_json(std::string_view text) {
  BatchRequest request;
  const form::Json value = form::parse(text, "batch");
  form::Reader(value, "batch").list("items", request.items, form::item_of).finish();
  return request;
}

}  // namespace taut::ai
