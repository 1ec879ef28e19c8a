#pragma once
// The output items of an answer of POST /responses, whole or in pieces.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "src/ai/json.h"
#include "src/ai/response_builder.h"

namespace taut::ai {

class ResponsesOutput {
 public:
  explicit ResponsesOutput(ResponseBuilder& builder) : builder_(builder) {}

  /// id and model of a response that begins, or is whole.
  void begin(const Json& response);
  /// All items of a response that came in one piece.
  void add_items(const Json& response, std::vector<StreamEvent>& events);
  /// Usage, sources and the reason for the end.
  void end(const Json& response, std::vector<StreamEvent>& events);

  void begin_item(int64_t index, const Json& item, std::vector<StreamEvent>& events);
  void end_item(int64_t index, const Json& item, std::vector<StreamEvent>& events);
  void add_text(const Json& delta, std::vector<StreamEvent>& events);
  void add_refusal(std::string text, std::vector<StreamEvent>& events);
  void add_reasoning(int64_t index, std::string text, std::vector<StreamEvent>& events);
  void add_arguments(int64_t index, std::string_view text, std::vector<StreamEvent>& events);
  void add_annotation(const Json& annotation, std::vector<StreamEvent>& events);
  bool is_empty() const;

 private:
  struct Item {
    bool is_call = false;
    bool is_reasoning = false;
    int call = 0;
    size_t place = 0;  // of reasoning, among the parts
  };
  void add_message(const Json& item, std::vector<StreamEvent>& events);

  ResponseBuilder& builder_;
  std::map<int64_t, Item> items_;
  bool is_refused_ = false;
};

}  // namespace taut::ai
