#include "src/ai/routed_stream.h"

#include <utility>

#include "src/ai/stream_relay.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

constexpr int64_t kWaitingEvents = 16;

/// A stream whose answer has begun: what came up to its first piece is taken out of it.
struct OpenedStream {
  ChatStream stream;
  std::vector<StreamEvent> first;
};

/// Reads until something of the answer is there. Usage comes before it, from servers that fail a
/// moment later.
class Opening : public std::enable_shared_from_this<Opening> {
 public:
  explicit Opening(ChatStream stream) : opened_{std::move(stream), {}} {}

  Pending<OpenedStream> open() {
    promise_.on_cancel([stream = opened_.stream] { stream.cancel(); });
    read();
    return promise_.pending();
  }

 private:
  void read() {
    opened_.stream.next_event().then(
        [self = shared_from_this()](Outcome<std::optional<StreamEvent>> outcome) {
          self->take(std::move(outcome));
        });
  }

  void take(Outcome<std::optional<StreamEvent>> outcome) {
    if (!outcome.has_value()) {
      promise_.set(Outcome<OpenedStream>(outcome.error()));
      return;
    }
    std::optional<StreamEvent> event = std::move(outcome).value();
    if (!event) {
      promise_.set(std::move(opened_));
      return;
    }
    const bool has_begun = event->kind != StreamEvent::Kind::usage;
    opened_.first.push_back(std::move(*event));
    // A server that sends nothing but usage is not read for ever on one stack.
    if (has_begun || opened_.first.size() >= kWaitingEvents) {
      promise_.set(std::move(opened_));
    } else {
      read();
    }
  }

  OpenedStream opened_;
  Promise<OpenedStream> promise_;
};

class RoutedStream : public std::enable_shared_from_this<RoutedStream> {
 public:
  RoutedStream(std::shared_ptr<RouteRecord> record, ChatRequest request)
      : record_(std::move(record)),
        request_(std::move(request)),
        queue_(std::make_shared<StreamQueue>(kWaitingEvents)) {}

  ChatStream start() {
    const std::shared_ptr<RoutedStream> self = shared_from_this();
    relay_ = std::make_shared<StreamRelay>(
        queue_, nullptr,
        [weak = weak_from_this()](ChatResponse response, std::exception_ptr error) {
          if (const auto stream = weak.lock()) stream->ended(std::move(response), std::move(error));
        });
    queue_->set_snapshot([self] { return self->so_far(); });
    queue_->set_on_cancel([self] { self->cancel(); });
    queue_->set_on_room([self] { self->relay_->has_room(); });
    ChatStream stream = StreamQueue::stream(queue_);
    open();
    return stream;
  }

 private:
  using Call = RouteCall<OpenedStream>;

  void open() {
    const std::shared_ptr<RoutedStream> self = shared_from_this();
    Call::Hooks hooks;
    hooks.ask = [self](const Target& target, const std::string& model,
                       std::optional<double> seconds) {
      return open_stream(target.backend->stream(request_for(self->request_, model, seconds)));
    };
    const RouterOptions& options = record_->router->options;
    if (options.cache) {
      hooks.from_cache = [self]() -> std::optional<OpenedStream> {
        std::optional<ChatResponse> kept =
            kept_answer(self->record_->router->options, self->request_);
        if (!kept) return std::nullopt;
        return OpenedStream{stream_of(std::move(*kept)), {}};
      };
    }
    if (options.last_resort) {
      hooks.from_last_resort = [self](std::optional<double> seconds) {
        const ChatRequest request = request_for(self->request_, self->request_.model, seconds);
        return open_stream(self->record_->router->options.last_resort->stream(request));
      };
    }
    hooks.done = [self](Outcome<Routed<OpenedStream>> outcome) {
      self->opened(std::move(outcome));
    };
    auto call = std::make_shared<Call>(record_, std::move(hooks));
    {
      const std::lock_guard lock(mutex_);
      call_ = call;
    }
    call->start();
    if (is_cancelled()) call->cancel(cancelled());
  }

  static Pending<OpenedStream> open_stream(ChatStream stream) {
    return std::make_shared<Opening>(std::move(stream))->open();
  }

  void opened(Outcome<Routed<OpenedStream>> outcome) {
    {
      const std::lock_guard lock(mutex_);
      call_ = nullptr;  // it holds this stream
    }
    if (!outcome.has_value()) {
      close(so_far(), outcome.error());
      return;
    }
    Routed<OpenedStream> routed = std::move(outcome).value();
    bool is_restart = false;
    {
      const std::lock_guard lock(mutex_);
      attempt_ = std::move(routed.attempt);
      inner_ = routed.result.stream;
      is_restart = std::exchange(has_begun_, true);
    }
    if (is_cancelled()) routed.result.stream.cancel();
    if (is_restart) {
      StreamEvent restart;
      restart.kind = StreamEvent::Kind::restart;
      routed.result.first.insert(routed.result.first.begin(), std::move(restart));
    }
    queue_->push(std::move(routed.result.first));
    relay_->start(std::move(routed.result.stream));
  }

  void ended(ChatResponse response, std::exception_ptr error) {
    std::shared_ptr<RouteAttempt> attempt;
    {
      const std::lock_guard lock(mutex_);
      attempt = std::move(attempt_);
      attempt_ = nullptr;
    }
    if (!error) {
      if (attempt) {
        response.cost = attempt->succeeded(response.usage, response.cost, response.headers);
        keep_answer(record_->router->options, request_, response);
      }
      close(std::move(response), nullptr);
      return;
    }
    const ErrorDetails details = details_of(error);
    if (attempt) attempt->failed(details);
    bool may_begin_anew = attempt != nullptr && record_->router->options.restart_streams;
    if (may_begin_anew) {
      const std::lock_guard lock(record_->mutex);
      may_begin_anew =
          may_ask_another(details, attempt->target(), record_->router->options, record_->query);
    }
    if (may_begin_anew && !is_cancelled()) {
      open();
    } else {
      close(std::move(response), std::move(error));
    }
  }

  void close(ChatResponse response, std::exception_ptr error) {
    response.route = record_->conclude();
    if (!error) warn_of_degradation(*response.route, response);
    queue_->close(std::move(response), std::move(error));
  }

  ChatResponse so_far() const {
    std::optional<ChatStream> inner;
    {
      const std::lock_guard lock(mutex_);
      inner = inner_;
    }
    if (inner) return inner->response();
    ChatResponse response;
    response.model = request_.model;
    response.provider = record_->router->options.name;
    return response;
  }

  void cancel() {
    std::shared_ptr<Call> call;
    {
      const std::lock_guard lock(mutex_);
      is_cancelled_ = true;
      call = call_;
    }
    if (call) call->cancel(cancelled());
    relay_->cancel();
  }

  bool is_cancelled() const {
    const std::lock_guard lock(mutex_);
    return is_cancelled_;
  }

  ErrorDetails cancelled() const {
    ErrorDetails details;
    details.kind = ErrorKind::cancelled;
    details.provider = record_->router->options.name;
    details.model = request_.model;
    details.message = "the stream was cancelled";
    return details;
  }

  const std::shared_ptr<RouteRecord> record_;
  const ChatRequest request_;
  const std::shared_ptr<StreamQueue> queue_;
  std::shared_ptr<StreamRelay> relay_;

  mutable std::mutex mutex_;  // of what follows
  std::shared_ptr<Call> call_;
  std::shared_ptr<RouteAttempt> attempt_;
  std::optional<ChatStream> inner_;
  bool has_begun_ = false;
  bool is_cancelled_ = false;
};

}  // namespace

ChatStream routed_stream(std::shared_ptr<RouteRecord> record, const ChatRequest& request) {
  return std::make_shared<RoutedStream>(std::move(record), request)->start();
}

std::optional<ChatResponse> kept_answer(const RouterOptions& options, const ChatRequest& request) {
  try {
    return options.cache->get(options.name, request);
  } catch (const Error&) {
    return std::nullopt;
  }
}

void keep_answer(const RouterOptions& options, const ChatRequest& request, ChatResponse& response) {
  if (!options.cache) return;
  try {
    options.cache->put(options.name, request, response);
  } catch (const std::exception& error) {
    response.warnings.push_back(concat("the answer was not kept: ", error.what()));
  }
}

ChatRequest request_for(const ChatRequest& request, const std::string& model,
                        std::optional<double> seconds_left) {
  ChatRequest asked = request;
  asked.model = model;
  asked.deadline = seconds_left;
  return asked;
}

void warn_of_degradation(const RouteReport& report, ChatResponse& response) {
  if (!report.is_degraded) return;
  response.warnings.push_back(
      concat(report.router, ": no target could answer; this is ",
             report.from_cache ? "an answer of better times" : "what the last resort says"));
}

}  // namespace taut::ai
