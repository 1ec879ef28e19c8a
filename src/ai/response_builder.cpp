#include "src/ai/response_builder.h"

#include <utility>

#include "src/ai/refusal.h"
#include "taut/base/check.h"
#include "taut/base/fetch_memory.h"

namespace taut::ai {
namespace {

// No provider draws as many candidates or makes as many calls in one answer.
constexpr int64_t kMostCandidates = 128;
constexpr size_t kMostCalls = 1024;

constexpr std::string_view kMadeUpId = "taut-call-";

StreamEvent& append_event(std::vector<StreamEvent>& events, StreamEvent::Kind kind, int candidate) {
  StreamEvent& event = events.emplace_back();
  event.kind = kind;
  event.candidate = candidate;
  return event;
}

void append_to(std::vector<TokenLogprob>& all, const std::vector<TokenLogprob>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

[[noreturn]] void refuse(const std::string& provider, std::string message) {
  ProviderConfig config;
  config.name = provider;
  refuse_answer(config, std::move(message));
}

bool is_same(const Usage& a, const Usage& b) {
  return a.input_total == b.input_total && a.input_cached == b.input_cached &&
         a.input_cache_write == b.input_cache_write && a.output_total == b.output_total &&
         a.output_reasoning == b.output_reasoning && a.total == b.total && a.cost == b.cost;
}

}  // namespace

ResponseBuilder::ResponseBuilder(const ProviderConfig& config) : provider_(config.name) {
  response_.provider = config.name;
}

int ResponseBuilder::candidate(int64_t index) {
  if (index < 0 || index >= kMostCandidates) {
    refuse(provider_, concat("response: a candidate's index makes no sense; got ", index,
                             "; expected 0 to ", kMostCandidates - 1));
  }
  const auto place = static_cast<size_t>(index);
  if (place >= response_.candidates.size()) {
    response_.candidates.resize(place + 1);
    progress_.resize(place + 1);
  }
  return static_cast<int>(index);
}

void ResponseBuilder::add_text(int candidate, std::string text, std::vector<TokenLogprob> logprobs,
                               std::vector<StreamEvent>& events) {
  if (text.empty() && logprobs.empty()) return;
  std::vector<Part>& parts = at(candidate).parts;
  TextPart* last = parts.empty() ? nullptr : std::get_if<TextPart>(&parts.back());
  if (text.empty() || (last != nullptr && last->signature.empty())) {
    if (last != nullptr) last->text += text;
  } else {
    parts.emplace_back(TextPart{text});
  }
  append_to(at(candidate).logprobs, logprobs);
  StreamEvent& event = emit(StreamEvent::Kind::text, candidate, events);
  event.text = std::move(text);
  event.logprobs = std::move(logprobs);
}

void ResponseBuilder::add_signed_text(int candidate, TextPart part,
                                      std::vector<StreamEvent>& events) {
  const std::string text = part.text;
  at(candidate).parts.emplace_back(std::move(part));
  if (!text.empty()) emit(StreamEvent::Kind::text, candidate, events).text = text;
}

void ResponseBuilder::add_refusal(int candidate, std::string text,
                                  std::vector<TokenLogprob> logprobs,
                                  std::vector<StreamEvent>& events) {
  if (text.empty() && logprobs.empty()) return;
  at(candidate).refusal += text;
  append_to(at(candidate).logprobs, logprobs);
  StreamEvent& event = emit(StreamEvent::Kind::refusal, candidate, events);
  event.text = std::move(text);
  event.logprobs = std::move(logprobs);
}

void ResponseBuilder::add_reasoning(int candidate, std::string text,
                                    std::vector<StreamEvent>& events) {
  if (text.empty()) return;
  std::vector<Part>& parts = at(candidate).parts;
  ReasoningPart* last = parts.empty() ? nullptr : std::get_if<ReasoningPart>(&parts.back());
  if (last != nullptr && last->signature.empty() && last->redacted.empty()) {
    last->text += text;
  } else {
    parts.emplace_back(ReasoningPart{text, {}, {}});
  }
  emit(StreamEvent::Kind::reasoning, candidate, events).text = std::move(text);
}

void ResponseBuilder::add_reasoning_part(int candidate, ReasoningPart part,
                                         std::vector<StreamEvent>& events) {
  std::string text = part.text;
  at(candidate).parts.emplace_back(std::move(part));
  if (!text.empty()) {
    emit(StreamEvent::Kind::reasoning, candidate, events).text = std::move(text);
  }
}

size_t ResponseBuilder::begin_reasoning(int candidate) {
  at(candidate).parts.emplace_back(ReasoningPart{});
  return at(candidate).parts.size() - 1;
}

ReasoningPart& ResponseBuilder::reasoning(int candidate, size_t place) {
  return std::get<ReasoningPart>(at(candidate).parts[place]);
}

void ResponseBuilder::add_to_reasoning(int candidate, size_t place, std::string text,
                                       std::vector<StreamEvent>& events) {
  if (text.empty()) return;
  reasoning(candidate, place).text += text;
  emit(StreamEvent::Kind::reasoning, candidate, events).text = std::move(text);
}

int ResponseBuilder::begin_call(int candidate, ToolCall call, std::vector<StreamEvent>& events) {
  Progress& progress = progress_[static_cast<size_t>(candidate)];
  const size_t number = progress.calls.size();
  if (number == kMostCalls) {
    refuse(provider_,
           concat("response: it has too many tool calls; expected at most ", kMostCalls));
  }
  if (call.id.empty()) {
    call.id = concat(kMadeUpId, response_.id, "-", candidate, "-", number);
  }
  progress.calls.push_back(at(candidate).parts.size());
  at(candidate).parts.emplace_back(call);
  StreamEvent& event = emit(StreamEvent::Kind::tool_call, candidate, events);
  event.call_index = static_cast<int>(number);
  event.call = std::move(call);
  return static_cast<int>(number);
}

void ResponseBuilder::add_arguments(int candidate, int number, std::string_view arguments,
                                    std::vector<StreamEvent>& events) {
  if (arguments.empty()) return;
  call(candidate, number).arguments += arguments;
  StreamEvent& event = emit(StreamEvent::Kind::tool_call, candidate, events);
  event.call_index = number;
  event.call.edit().arguments = arguments;
}

ToolCall& ResponseBuilder::call(int candidate, int number) {
  const size_t place = progress(candidate).calls[static_cast<size_t>(number)];
  return std::get<ToolCall>(at(candidate).parts[place]);
}

int ResponseBuilder::calls(int candidate) const {
  return static_cast<int>(progress(candidate).calls.size());
}

void ResponseBuilder::add_citation(Citation citation, std::vector<StreamEvent>& events) {
  response_.citations.push_back(citation);
  StreamEvent& event = emit(StreamEvent::Kind::citation, 0, events);
  event.citation = std::move(citation);
}

void ResponseBuilder::set_citations(std::vector<Citation> citations,
                                    std::vector<StreamEvent>& events) {
  const size_t told = response_.citations.size();
  if (citations.size() < told) return;
  for (size_t i = told; i < citations.size(); ++i) {
    StreamEvent& event = emit(StreamEvent::Kind::citation, 0, events);
    event.citation = citations[i];
  }
  response_.citations = std::move(citations);
}

void ResponseBuilder::set_usage(const Usage& usage, std::vector<StreamEvent>& events) {
  if (is_same(usage, response_.usage)) return;
  const bool is_partial = response_.usage.partial;
  response_.usage = usage;
  response_.usage.partial = is_partial;
  response_.cost = usage.cost;
  StreamEvent& event = append_event(events, StreamEvent::Kind::usage, 0);
  event.usage = response_.usage;
}

void ResponseBuilder::finish(int candidate, FinishReason reason, std::string raw,
                             std::vector<StreamEvent>& events) {
  Progress& progress = progress_[static_cast<size_t>(candidate)];
  if (progress.is_finished) return;
  progress.is_finished = true;
  at(candidate).finish_reason = reason;
  at(candidate).raw_finish_reason = std::move(raw);
  StreamEvent& event = append_event(events, StreamEvent::Kind::finish, candidate);
  event.finish_reason = reason;
}

bool ResponseBuilder::is_finished(int candidate) const { return progress(candidate).is_finished; }

bool ResponseBuilder::all_finished() const {
  for (const Progress& progress : progress_) {
    if (!progress.is_finished) return false;
  }
  return !progress_.empty();
}

void ResponseBuilder::fetch(int depth) const {
  if (depth == 0) fetch_memory(this, this + 1);
  if (depth == 0 || response_.candidates.empty()) return;
  const Candidate& candidate = response_.candidates.back();
  if (depth == 1) {
    fetch_memory(&candidate, &candidate + 1);
    return;
  }
  if (candidate.parts.empty()) return;
  const Part& part = candidate.parts.back();
  if (depth == 2) {
    fetch_memory(&part, &part + 1);
  } else if (const auto* text = std::get_if<TextPart>(&part); text != nullptr && depth == 3) {
    const char* const end = text->text.data() + text->text.size();
    fetch_memory(end, end + 1);
  }
}

StreamEvent& ResponseBuilder::emit(StreamEvent::Kind kind, int candidate,
                                   std::vector<StreamEvent>& events) {
  has_output_ = true;
  return append_event(events, kind, candidate);
}

const ResponseBuilder::Progress& ResponseBuilder::progress(int candidate) const {
  return progress_[static_cast<size_t>(candidate)];
}

bool is_made_up_call_id(std::string_view id) { return id.substr(0, kMadeUpId.size()) == kMadeUpId; }

}  // namespace taut::ai
