#include <chrono>
#include <utility>

#include "src/ai/follow.h"
#include "src/ai/settlement.h"
#include "src/ai/stream_relay.h"
#include "taut/ai/call_log.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// One call: what was set aside for it, and how it is settled.
class MeteredCall {
 public:
  template <class Request>
  MeteredCall(const MeterOptions& options, std::string provider, const Request& request)
      : options_(options),
        provider_(std::move(provider)),
        model_(request.model),
        task_(request.task),
        started_(seconds_now()) {
    static const PriceTable none;
    estimate_ = (options_.prices ? *options_.prices : none).estimate(provider_, model_, request);
    if (options_.budget) reservation_ = options_.budget->reserve(provider_, task_, estimate_);
  }

  template <class Response>
  void succeeded(Response& response, bool is_from_cache) {
    if (is_from_cache) {
      reservation_.release();
      return;
    }
    const Usage& usage = response.usage;
    if (!response.cost) response.cost = cost_of(usage, response.model);
    const Settlement settlement = settlement_of(usage, response.cost, estimate_);
    reservation_.settle(settlement.tokens, settlement.dollars);
  }

  void failed(const std::exception_ptr& error, bool is_stream) {
    const ErrorDetails details = details_of(error);
    if (may_have_cost(details)) {
      reservation_.settle(std::nullopt, std::nullopt);
    } else {
      reservation_.release();
    }
    if (!options_.log) return;
    try {
      options_.log->add_failure(task_, details, seconds_now() - started_, is_stream);
    } catch (const IoError&) {  // the call's own error matters more
    }
  }

  template <class... Arguments>
  std::optional<std::string> write(const Arguments&... arguments) const {
    if (!options_.log) return std::nullopt;
    try {
      options_.log->add(arguments...);
      return std::nullopt;
    } catch (const IoError& error) {
      return error.what();
    }
  }

 private:
  std::optional<double> cost_of(const Usage& usage, const std::string& answered_as) const {
    if (!options_.prices) return usage.cost;
    const std::optional<double> cost = options_.prices->cost(provider_, model_, usage);
    return cost ? cost : options_.prices->cost(provider_, answered_as, usage);
  }

  MeterOptions options_;
  std::string provider_, model_, task_;
  double started_;
  CostEstimate estimate_;
  Budget::Reservation reservation_;
};

class MeteredBackend final : public Backend {
 public:
  MeteredBackend(std::shared_ptr<Backend> backend, MeterOptions options)
      : backend_(std::move(backend)), options_(std::move(options)) {}

  const std::string& name() const override { return backend_->name(); }
  bool is_ready() const override { return backend_->is_ready(); }
  Capabilities capabilities(const std::string& model) const override {
    return backend_->capabilities(model);
  }

  Pending<ChatResponse> chat(const ChatRequest& request) const override {
    std::shared_ptr<MeteredCall> call;
    try {
      call = std::make_shared<MeteredCall>(options_, name(), request);
    } catch (const ProviderError&) {
      return failed_call<ChatResponse>(std::current_exception());
    }
    return followed<ChatResponse>(backend_->chat(request),
                                  [call, request](Outcome<ChatResponse>& outcome) {
                                    if (outcome.has_value()) {
                                      settle(*call, request, outcome.value(), false);
                                    } else {
                                      call->failed(outcome.error(), false);
                                    }
                                  });
  }

  ChatStream stream(const ChatRequest& request) const override {
    std::shared_ptr<MeteredCall> call;
    try {
      call = std::make_shared<MeteredCall>(options_, name(), request);
    } catch (const ProviderError&) {
      return failed_stream(std::current_exception());
    }
    return tapped(backend_->stream(request), nullptr,
                  [call, request](ChatResponse& response, std::exception_ptr error) {
                    if (error) {
                      call->failed(error, true);
                    } else {
                      settle(*call, request, response, true);
                    }
                  });
  }

  Pending<EmbeddingResponse> embed(const EmbeddingRequest& request) const override {
    std::shared_ptr<MeteredCall> call;
    try {
      call = std::make_shared<MeteredCall>(options_, name(), request);
    } catch (const ProviderError&) {
      return failed_call<EmbeddingResponse>(std::current_exception());
    }
    return followed<EmbeddingResponse>(backend_->embed(request),
                                       [call, request](Outcome<EmbeddingResponse>& outcome) {
                                         if (!outcome.has_value()) {
                                           call->failed(outcome.error(), false);
                                           return;
                                         }
                                         call->succeeded(outcome.value(), false);
                                         call->write(request, outcome.value());
                                       });
  }

 private:
  static void settle(MeteredCall& call, const ChatRequest& request, ChatResponse& response,
                     bool is_stream) {
    call.succeeded(response, response.from_cache);
    if (const auto trouble = call.write(request, response, is_stream)) {
      response.warnings.push_back(*trouble);
    }
  }

  std::shared_ptr<Backend> backend_;
  MeterOptions options_;
};

}  // namespace

std::shared_ptr<Backend> metered(std::shared_ptr<Backend> backend, MeterOptions options) {
  TAUT_CHECK(backend != nullptr, ValueError, "metered: expected a backend");
  return std::make_shared<MeteredBackend>(std::move(backend), std::move(options));
}

}  // namespace taut::ai
