#include <atomic>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

#include "src/ai/stream_queue.h"
#include "taut/ai/backend.h"
#include "taut/ai/error.h"

namespace taut::ai {

namespace {

/// Threads with one task each, which are waited for at the end.
class TaskThreads {
 public:
  ~TaskThreads() {
    for (Task& task : tasks_) end(task.thread);
  }

  void start(Callback<void()> work) {
    const std::lock_guard lock(mutex_);
    for (auto task = tasks_.begin(); task != tasks_.end();) {
      if (!task->is_done->load(std::memory_order_acquire)) {
        ++task;
        continue;
      }
      end(task->thread);
      task = tasks_.erase(task);
    }
    auto is_done = std::make_shared<std::atomic<bool>>(false);
    std::thread thread([work = std::move(work), is_done]() mutable {
      work();
      work = nullptr;
      is_done->store(true, std::memory_order_release);
    });
    tasks_.push_back({std::move(thread), std::move(is_done)});
  }

 private:
  struct Task {
    std::thread thread;
    std::shared_ptr<std::atomic<bool>> is_done;
  };

  static void end(std::thread& thread) {
    if (thread.get_id() == std::this_thread::get_id()) {
      thread.detach();
    } else {
      thread.join();
    }
  }

  std::mutex mutex_;
  std::list<Task> tasks_;
};

class LocalBackend final : public Backend {
 public:
  LocalBackend(std::string name, Callback<ChatResponse(const ChatRequest&)> answer)
      : name_(std::move(name)), answer_(std::move(answer)) {}

  const std::string& name() const override { return name_; }

  Pending<ChatResponse> chat(const ChatRequest& request) const override {
    const Promise<ChatResponse> promise;
    promise.on_cancel([promise, provider = name_, model = request.model] {
      promise.set(cancelled(provider, model));
    });
    threads_.start([promise, request, answer = answer_, provider = name_] {
      promise.set(outcome_of(answer, request, provider));
    });
    return promise.pending();
  }

  ChatStream stream(const ChatRequest& request) const override {
    auto queue = std::make_shared<StreamQueue>(int64_t{1} << 30);  // all of it is there at once
    threads_.start([queue, request, answer = answer_, provider = name_] {
      Outcome<ChatResponse> outcome = outcome_of(answer, request, provider);
      if (!outcome.has_value()) {
        queue->close({.model = request.model, .provider = provider}, outcome.error());
        return;
      }
      queue->push(events_of(outcome.value()));
      queue->close(std::move(outcome.value()), nullptr);
    });
    return StreamQueue::stream(std::move(queue));
  }

  Pending<EmbeddingResponse> embed(const EmbeddingRequest& request) const override {
    const Promise<EmbeddingResponse> promise;
    promise.set(std::make_exception_ptr(ProviderError({
        .kind = ErrorKind::invalid_request,
        .provider = name_,
        .model = request.model,
        .message = "this backend makes no embeddings",
    })));
    return promise.pending();
  }

  Capabilities capabilities(const std::string&) const override {
    Capabilities capabilities;
    capabilities[Feature::embeddings] = Answer::no;
    capabilities[Feature::batches] = Answer::no;
    capabilities[Feature::model_list] = Answer::no;
    return capabilities;
  }

 private:
  static std::exception_ptr cancelled(const std::string& provider, const std::string& model) {
    return std::make_exception_ptr(ProviderError({
        .kind = ErrorKind::cancelled,
        .provider = provider,
        .model = model,
        .message = "the call was cancelled",
    }));
  }

  static Outcome<ChatResponse> outcome_of(const Callback<ChatResponse(const ChatRequest&)>& answer,
                                          const ChatRequest& request, const std::string& provider) {
    try {
      ChatResponse response = answer(request);
      if (response.provider.empty()) response.provider = provider;
      if (response.model.empty()) response.model = request.model;
      return response;
    } catch (...) {
      return std::current_exception();
    }
  }

  std::string name_;
  Callback<ChatResponse(const ChatRequest&)> answer_;
  mutable TaskThreads threads_;
};

}  // namespace

std::shared_ptr<Backend> local_backend(std::string name,
                                       Callback<ChatResponse(const ChatRequest&)> answer) {
  if (!answer) {
    throw ValueError("local_backend: there is nothing to ask; got no function; expected one");
  }
  return std::make_shared<LocalBackend>(std::move(name), std::move(answer));
}

}  // namespace taut::ai
