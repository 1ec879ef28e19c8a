#include <utility>

#include "src/ai/chat_builder.h"
#include "src/ai/operation.h"
#include "src/ai/stream_queue.h"
#include "src/ai/stream_reader.h"
#include "taut/ai/client.h"

namespace taut::ai {

namespace {

/// A chat whose answer goes into a queue while it comes.
class StreamOperation final : public OperationBase,
                              public std::enable_shared_from_this<StreamOperation> {
 public:
  using OperationBase::OperationBase;

  ChatStream begin(const ChatRequest& request) {
    Client::Implementation& client = *provider().client();
    queue_ = std::make_shared<StreamQueue>(client.options().buffered_events);
    queue_->set_runner(client.event_runner());
    queue_->set_on_close([client = provider().client()](const std::exception_ptr& error) {
      client->count_end(error);
    });
    client.count_call();
    ChatStream stream = StreamQueue::stream(queue_);
    try {
      set_deadline(request.deadline);
      const auto builder = std::make_shared<ChatBuilder>(provider_pointer(), request, true);
      CallRequest call = builder->call(*this);
      auto reader = make_reader(builder);
      set_hooks(reader->so_far());
      start(std::move(call), std::move(reader));
    } catch (...) {
      fail(explained(std::current_exception()));
    }
    return stream;
  }

 private:
  std::unique_ptr<StreamReader> make_reader(const std::shared_ptr<ChatBuilder>& builder) const {
    const std::shared_ptr<Client::Implementation>& client = provider().client();
    StreamReader::Settings settings{
        .handler = provider().handler(),
        .config = provider().config(),
        .limits = client->options().limits,
        .model = model(),
        .warnings = [builder] { return builder->warnings(); },
        .excerpt = [client](std::string_view body) { return client->keys().excerpt(body); },
    };
    return std::make_unique<StreamReader>(std::move(settings), queue_);
  }

  /// They hold the operation until the stream is closed.
  void set_hooks(const std::shared_ptr<StreamReader::SoFar>& so_far) {
    queue_->set_snapshot([so_far] { return so_far->response(); });
    queue_->set_on_room([self = shared_from_this()] { self->resume_call(); });
    queue_->set_on_cancel([self = shared_from_this()] { self->stop_call(); });
  }

  void fail(const std::exception_ptr& error) {
    ChatResponse response;
    response.provider = provider().config().name;
    response.model = model();
    response.usage.partial = true;
    queue_->close(std::move(response), error);
  }

  std::shared_ptr<StreamQueue> queue_;
};

}  // namespace

ChatStream Provider::stream(const ChatRequest& request) const {
  return std::make_shared<StreamOperation>(state_, request.model)->begin(request);
}

}  // namespace taut::ai
