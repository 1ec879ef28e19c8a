#include "src/ai/responses_stream.h"

#include "src/ai/openai_errors.h"

namespace taut::ai {

void ResponsesAssembler::add_json(const Json& json, std::vector<StreamEvent>& events) {
  const std::string_view type = view_of(json, "type");
  const int64_t index = get<int64_t>(json, "output_index").value_or(0);
  if (type == "response.created" || type == "response.in_progress") {
    output_.begin(member(json, "response"));
  } else if (type == "response.output_item.added") {
    output_.begin_item(index, member(json, "item"), events);
  } else if (type == "response.output_item.done") {
    output_.end_item(index, member(json, "item"), events);
  } else if (type == "response.output_text.delta") {
    output_.add_text(json, events);
  } else if (type == "response.refusal.delta") {
    output_.add_refusal(text_of(json, "delta"), events);
  } else if (type == "response.reasoning_summary_text.delta" ||
             type == "response.reasoning_text.delta") {
    output_.add_reasoning(index, text_of(json, "delta"), events);
  } else if (type == "response.reasoning_summary_part.added") {
    // The parts of a summary are paragraphs.
    const bool is_later = get<int64_t>(json, "summary_index").value_or(0) > 0;
    output_.add_reasoning(index, is_later ? "\n\n" : "", events);
  } else if (type == "response.function_call_arguments.delta") {
    output_.add_arguments(index, text_of(json, "delta"), events);
  } else if (type == "response.output_text.annotation.added") {
    output_.add_annotation(member(json, "annotation"), events);
  } else if (type == "response.completed" || type == "response.incomplete") {
    const Json& response = member(json, "response");
    output_.begin(response);
    if (output_.is_empty()) output_.add_items(response, events);
    output_.end(response, events);
    complete();
  }
}

bool ResponsesAssembler::is_error(const Json& json) const {
  return view_of(json, "type") == "response.failed" || is_openai_error(json);
}

ErrorDetails ResponsesAssembler::error_of(const Json& json) const {
  if (view_of(json, "type") != "response.failed") return openai_error(config_, json, 0);
  return failed_response_error(config_, member(json, "response"), 0);
}

bool is_failed_response(const Json& response) {
  return text_of(response, "status") == "failed" || is_openai_error(response);
}

ErrorDetails failed_response_error(const ProviderConfig& config, const Json& response, int status) {
  ErrorDetails details = openai_error(config, response, status);
  details.vendor_type = text_of(response, "error", "type");
  return details;
}

}  // namespace taut::ai
