#include <utility>

#include "src/ai/chat_builder.h"
#include "src/ai/operation.h"
#include "taut/ai/client.h"
#include "taut/base/check.h"

namespace taut::ai {

namespace {

using StatePointer = std::shared_ptr<Provider::State>;

std::optional<double> total_of(const Usage& usage) {
  return usage.total ? std::optional<double>(static_cast<double>(*usage.total)) : std::nullopt;
}

void describe(ChatResponse& response, CallReport report, const OperationBase& operation) {
  response.provider = operation.provider().config().name;
  if (response.model.empty()) response.model = operation.model();
  response.attempts = report.attempts;
  response.seconds = report.seconds;
  response.seconds_to_first = report.seconds_to_first;
  if (!report.request_id.empty()) response.request_id = std::move(report.request_id);
  response.headers = std::move(report.headers);
}

/// Asks for page after page.
void read_models(const std::shared_ptr<Operation<std::vector<ModelInfo>>>& operation,
                 HttpRequest page, std::shared_ptr<std::vector<ModelInfo>> models, int pages) {
  static constexpr int kMostPages = 1000;  // a server that never stops is not believed
  const StatePointer state = operation->provider_pointer();
  operation->start(
      call_of(*operation, std::move(page)),
      operation->reader<ModelPage>(
          state->client()->options().limits.json,
          [state](const HttpAnswer& answer) {
            return state->handler().parse_models(state->config(), answer);
          },
          [operation, models, pages](ModelPage found, const CallReport&) {
            for (ModelInfo& model : found.models) models->push_back(std::move(model));
            if (!found.next) {
              operation->succeed(std::move(*models));
            } else if (pages < kMostPages) {
              read_models(operation, std::move(*found.next), models, pages + 1);
            } else {
              throw ProviderError({.kind = ErrorKind::malformed_response,
                                   .message = concat("the list of models does not end; got ",
                                                     kMostPages, " pages")});
            }
          }));
}

/// Asks for the status of a batch by any request that answers with one.
void read_batch(const std::shared_ptr<Operation<BatchStatus>>& operation, HttpRequest request) {
  const StatePointer state = operation->provider_pointer();
  operation->start(call_of(*operation, std::move(request)),
                   operation->reader<BatchStatus>(
                       state->client()->options().limits.json,
                       [state](const HttpAnswer& answer) {
                         return state->handler().parse_batch(state->config(), answer);
                       },
                       [operation](BatchStatus status, const CallReport&) {
                         operation->succeed(std::move(status));
                       }));
}

using Results = std::vector<BatchResult>;

/// What a file or a page of results says, and where they go on.
struct ResultPage {
  Results results;
  std::optional<HttpRequest> next;
};

/// Fetches file after file; the last comes first.
void read_results(const std::shared_ptr<Operation<Results>>& operation,
                  std::shared_ptr<std::vector<HttpRequest>> files, std::shared_ptr<Results> results,
                  int pages) {
  static constexpr int kMostPages = 10'000;  // a server that never stops is not believed
  if (files->empty()) {
    for (BatchResult& result : *results) {
      if (result.error) operation->provider().client()->keys().redact(*result.error);
    }
    operation->succeed(std::move(*results));
    return;
  }
  if (pages >= kMostPages) {
    throw ProviderError(
        {.kind = ErrorKind::malformed_response,
         .message = concat("the results of the batch do not end; got ", kMostPages, " pages")});
  }
  HttpRequest file = std::move(files->back());
  files->pop_back();
  const StatePointer state = operation->provider_pointer();
  CallRequest call = call_of(*operation, file);
  operation->start(std::move(call),
                   operation->reader<ResultPage>(
                       state->client()->options().limits.embeddings,
                       [state, file](const HttpAnswer& answer) -> ResultPage {
                         const ProtocolHandler& handler = state->handler();
                         return {handler.parse_batch_results(state->config(), answer),
                                 handler.batch_results_after(state->config(), file, answer)};
                       },
                       [operation, files, results, pages](ResultPage page, const CallReport&) {
                         for (BatchResult& result : page.results)
                           results->push_back(std::move(result));
                         if (page.next) files->push_back(std::move(*page.next));
                         read_results(operation, files, results, pages + 1);
                       }));
}

}  // namespace

Provider::Provider(std::shared_ptr<State> state) : state_(std::move(state)) {}

const std::string& Provider::name() const { return state_->config().name; }
const ProviderConfig& Provider::config() const { return state_->config(); }

Capabilities Provider::capabilities(const std::string& model) const {
  return state_->capabilities(model);
}

bool Provider::is_ready() const { return !config().key || config().key.is_there(); }

Pending<ChatResponse> Provider::chat(const ChatRequest& request) const {
  const auto operation = Operation<ChatResponse>::make(state_, request.model);
  operation->attempt([&] {
    operation->set_deadline(request.deadline);
    const auto builder = std::make_shared<ChatBuilder>(state_, request, false);
    operation->start(builder->call(*operation),
                     operation->reader<ChatResponse>(
                         state_->client()->options().limits.json,
                         [state = state_](const HttpAnswer& answer) {
                           return state->handler().parse_chat(state->config(), answer);
                         },
                         [operation, builder](ChatResponse response, CallReport report) {
                           describe(response, std::move(report), *operation);
                           for (std::string& warning : builder->warnings()) {
                             response.warnings.push_back(std::move(warning));
                           }
                           operation->succeed(std::move(response));
                         },
                         [](const ChatResponse& response) { return total_of(response.usage); }));
  });
  return operation->pending();
}

Pending<EmbeddingResponse> Provider::embed(const EmbeddingRequest& request) const {
  const auto operation = Operation<EmbeddingResponse>::make(state_, request.model);
  operation->attempt([&] {
    operation->set_deadline(request.deadline);
    CallRequest call = call_of(
        *operation, state_->handler()
                        .embed(state_->config(), request, state_->capabilities(request.model))
                        .http);
    call.tokens = estimated_tokens(call.http, 0);
    operation->start(
        std::move(call),
        operation->reader<EmbeddingResponse>(
            state_->client()->options().limits.embeddings,
            [state = state_, request](const HttpAnswer& answer) {
              return state->handler().parse_embeddings(state->config(), request, answer);
            },
            [operation](EmbeddingResponse response, CallReport report) {
              response.provider = operation->provider().config().name;
              if (response.model.empty()) response.model = operation->model();
              response.attempts = report.attempts;
              response.seconds = report.seconds;
              if (!report.request_id.empty()) response.request_id = std::move(report.request_id);
              response.headers = std::move(report.headers);
              operation->succeed(std::move(response));
            },
            [](const EmbeddingResponse& response) { return total_of(response.usage); }));
  });
  return operation->pending();
}

Pending<std::vector<ModelInfo>> Provider::models() const {
  const auto operation = Operation<std::vector<ModelInfo>>::make(state_, {});
  operation->attempt([&] {
    operation->set_deadline(std::nullopt);
    read_models(operation, state_->handler().models(state_->config()),
                std::make_shared<std::vector<ModelInfo>>(), 1);
  });
  return operation->pending();
}

Pending<BatchStatus> Provider::create_batch(const BatchRequest& request) const {
  const auto operation = Operation<BatchStatus>::make(
      state_, request.items.empty() ? std::string() : request.items.front().request.model);
  operation->attempt([&] {
    operation->set_deadline(std::nullopt);
    std::optional<HttpRequest> upload = state_->handler().batch_upload(state_->config(), request);
    if (!upload) {
      read_batch(operation, state_->handler().create_batch(state_->config(), request, nullptr));
      return;
    }
    operation->start(call_of(*operation, std::move(*upload)),
                     operation->reader<HttpAnswer>(
                         state_->client()->options().limits.json,
                         [](const HttpAnswer& answer) { return answer; },
                         [operation, request](const HttpAnswer& uploaded, const CallReport&) {
                           const Provider::State& state = operation->provider();
                           read_batch(operation, state.handler().create_batch(state.config(),
                                                                              request, &uploaded));
                         }));
  });
  return operation->pending();
}

Pending<BatchStatus> Provider::batch(const std::string& id) const {
  const auto operation = Operation<BatchStatus>::make(state_, {});
  operation->attempt([&] {
    operation->set_deadline(std::nullopt);
    read_batch(operation, state_->handler().batch(state_->config(), id));
  });
  return operation->pending();
}

Pending<BatchStatus> Provider::cancel_batch(const std::string& id) const {
  const auto operation = Operation<BatchStatus>::make(state_, {});
  operation->attempt([&] {
    operation->set_deadline(std::nullopt);
    read_batch(operation, state_->handler().cancel_batch(state_->config(), id));
  });
  return operation->pending();
}

Pending<std::vector<BatchResult>> Provider::batch_results(const BatchStatus& status) const {
  const auto operation = Operation<Results>::make(state_, {});
  operation->attempt([&] {
    operation->set_deadline(std::nullopt);
    std::vector<HttpRequest> files = state_->handler().batch_results(state_->config(), status);
    read_results(operation,
                 std::make_shared<std::vector<HttpRequest>>(std::make_move_iterator(files.rbegin()),
                                                            std::make_move_iterator(files.rend())),
                 std::make_shared<Results>(), 0);
  });
  return operation->pending();
}

}  // namespace taut::ai
