#include "src/ai/request_parts.h"

#include <utility>

#include "src/ai/base64.h"
#include "src/ai/refusal.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

constexpr std::string_view kMediaTypes[] = {"image/png", "image/jpeg", "image/webp", "image/gif"};
constexpr std::string_view kDetails[] = {"", "low", "high", "auto"};

template <size_t n>
bool is_among(const std::string_view (&known)[n], std::string_view word) {
  for (const std::string_view candidate : known) {
    if (candidate == word) return true;
  }
  return false;
}

/// The object of a text of the caller's; a text that is none is a refusal that names `param`.
RequestJson object_of(const ProviderConfig& config, const std::string& model, std::string param,
                      std::string_view text, std::string_view what) {
  try {
    return parse_user_object(text, what);
  } catch (const ValueError& error) {
    refuse_request(config, model, std::move(param), error.what());
  }
}

[[noreturn]] void refuse_image(const ProviderConfig& config, const std::string& model,
                               std::string message) {
  refuse_request(config, model, "messages", concat("image: ", message));
}

/// data:image/png;base64,... in its parts.
Picture picture_of_data_url(const ProviderConfig& config, const std::string& model,
                            std::string_view url) {
  constexpr std::string_view kMark = ";base64,";
  const size_t mark = url.find(kMark);
  Picture picture;
  if (mark != std::string_view::npos) {
    picture.media_type = url.substr(5, mark - 5);
    picture.base64 = url.substr(mark + kMark.size());
  }
  if (!is_among(kMediaTypes, picture.media_type) || !base64_decode(picture.base64)) {
    refuse_image(
        config, model,
        concat("the data: URL is not one of a picture in base64; got ", url.substr(0, 60)));
  }
  return picture;
}

}  // namespace

RequestJson tool_parameters(const ProviderConfig& config, const std::string& model,
                            const Tool& tool) {
  if (tool.parameters.empty()) {
    return {{"type", "object"},
            {"properties", RequestJson::object()},
            {"required", RequestJson::array()},
            {"additionalProperties", false}};
  }
  return object_of(config, model, "tools", tool.parameters,
                   concat("tools: parameters of ", tool.name));
}

RequestJson answer_schema(const ProviderConfig& config, const std::string& model,
                          const ResponseFormat& format) {
  if (format.schema.empty()) {
    refuse_request(config, model, "format", "format: the schema is empty; expected a JSON Schema");
  }
  return object_of(config, model, "format", format.schema, "format: schema");
}

RequestJson call_arguments(const ProviderConfig& config, const std::string& model,
                           const ToolCall& call) {
  return object_of(config, model, "messages", call.arguments,
                   concat("messages: arguments of the call of ", call.name));
}

std::string Picture::as_url() const {
  return url.empty() ? concat("data:", media_type, ";base64,", base64) : url;
}

Picture picture_of(const ProviderConfig& config, const std::string& model, const ImagePart& image) {
  if (image.url.empty() == image.bytes.empty()) {
    refuse_image(config, model, "it needs a URL or bytes, and not both");
  }
  if (!is_among(kDetails, image.detail)) {
    refuse_image(
        config, model,
        concat("the detail is not one; got '", image.detail, "'; expected low, high or auto"));
  }
  if (image.url.empty()) {
    if (!is_among(kMediaTypes, image.media_type)) {
      refuse_image(config, model,
                   concat("the media type is not one; got '", image.media_type,
                          "'; expected image/png, image/jpeg, image/webp or image/gif"));
    }
    return {{}, image.media_type, base64_encode(image.bytes)};
  }
  if (image.url.substr(0, 5) == "data:") return picture_of_data_url(config, model, image.url);
  if (image.url.substr(0, 8) != "https://") {
    refuse_image(config, model,
                 concat("the address is neither https nor data:; got ", image.url.substr(0, 60)));
  }
  return {image.url, {}, {}};
}

void add_extra(const ProviderConfig& config, const std::string& model, std::string_view extra,
               RequestJson& body) {
  const std::pair<std::string_view, std::string_view> sources[] = {
      {"extra_body", config.extra_body}, {"extra", extra}};
  for (const auto& [what, text] : sources) {
    const RequestJson fields = object_of(config, model, std::string(what), text, what);
    if (fields.contains("stream")) {
      refuse_request(config, model, std::string(what),
                     concat(what, ": it may not set 'stream'; ask for a stream instead"));
    }
    body.merge_patch(fields);
  }
}

HttpRequest json_request(std::string path, const RequestJson& body, bool is_stream) {
  HttpRequest request;
  request.path = std::move(path);
  request.body = to_text(body);
  request.is_stream = is_stream;
  return request;
}

HttpRequest get_request(std::string path) {
  HttpRequest request;
  request.method = "GET";
  request.path = std::move(path);
  request.content_type.clear();
  return request;
}

void refuse_part(const ProviderConfig& config, const std::string& model, std::string_view role,
                 std::string_view part) {
  refuse_request(config, model, "messages",
                 concat("messages: a message of the ", role, " cannot hold ", part));
}

}  // namespace taut::ai
