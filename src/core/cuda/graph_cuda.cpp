// Captured graphs.
//
// Note [Random numbers in graphs]
// A captured kernel cannot get its place in the random stream as an argument, which would be the
// same in every replay. It gets an offset that counts from the start of the graph, and the address
// of a GeneratorState on the device to count from. A replay takes as much of the generator's stream
// as the captured ops took in all, and first writes there where that begins.

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "src/core/cuda/context.h"
#include "src/core/cuda/launch_context.h"
#include "src/core/cuda_runtime.h"
#include "taut/base/trace.h"
#include "taut/core/cuda_graph.h"
#include "taut/core/generator.h"
#include "taut/core/stream.h"

namespace taut::cuda {

struct Graph::State {
  Device device = kCUDA;
  uint64_t pool = 0;
  cudaGraphExec_t work = nullptr;
  GeneratorState* random_base = nullptr;  // on the device
  uint64_t random_blocks = 0;
  // What the host does before a replay, and the nodes that it then gives arguments to.
  std::vector<Callback<void()>> callbacks;
  cudaGraph_t nodes = nullptr;
  std::string refusal;  // what could not be captured
};

namespace {

// What this thread is capturing.
struct Capture {
  const Graph* graph = nullptr;
  uint64_t number = 0;
  cudaStream_t stream = nullptr;
  uint64_t pool_before = 0;
  GeneratorState* random_base = nullptr;
  uint64_t random_blocks = 0;
  std::vector<Callback<void()>>* callbacks = nullptr;
  std::string* refusal = nullptr;
};
thread_local Capture capture_now;
thread_local cudaGraphExec_t replayed_now = nullptr;
std::atomic<uint64_t> captures{0};

void check_graph(const char* what, cudaError_t status) {
  TAUT_CHECK(status == cudaSuccess, CudaError, "graph: ", what, ": ", cudaGetErrorString(status));
}

}  // namespace

uint64_t current_capture() { return capture_now.number; }

std::string capture_refusal() {
  if (capture_now.graph == nullptr) return {};
  if (!capture_now.refusal->empty()) return *capture_now.refusal;
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const bool is_sound = cudaStreamIsCapturing(capture_now.stream, &status) == cudaSuccess &&
                        status == cudaStreamCaptureStatusActive;
  return is_sound ? "" : "graph: the driver refused to capture a call";
}

void note_capture_refusal(const std::string& reason) {
  if (capture_now.graph != nullptr && capture_now.refusal->empty()) *capture_now.refusal = reason;
}

std::optional<CapturedRandom> capture_random(Device device, const Generator& generator,
                                             uint64_t blocks) {
  if (TAUT_LIKELY(capture_now.graph == nullptr)) return {};
  if (!device.is_cuda() || !is_captured(stream_on(device.index()))) return {};
  if (&generator != &default_generator()) {
    const char* reason = "graph: captured ops draw from the default generator; got another one";
    note_capture_refusal(reason);
    detail::raise<ValueError>(reason);
  }
  return CapturedRandom{capture_now.random_base, std::exchange(capture_now.random_blocks,
                                                               capture_now.random_blocks + blocks)};
}

void refuse_capture(const std::string& reason) {
  note_capture_refusal(reason);
  detail::raise<CudaError>(reason);
}

void check_can_wait(const char* what, Device device) {
  if (TAUT_LIKELY(!is_captured(stream_on(device.index())))) return;
  refuse_capture(
      concat(what,
             ": cannot be captured into a graph, since the host would have to wait for the GPU or "
             "to give it bytes that change; do it before or after the capture"));
}

void on_replay(Callback<void()> callback) {
  TAUT_CHECK(capture_now.graph != nullptr, ValueError,
             "on_replay: this thread is not capturing a graph");
  capture_now.callbacks->push_back(std::move(callback));
}

cudaGraphExec_t graph_to_replay() { return replayed_now; }

bool is_current_stream_capturing() {
  return is_available() && is_captured(stream_on(current_device()));
}

Graph::Graph() = default;
Graph::Graph(Graph&& other) noexcept : state_(std::move(other.state_)) {}
Graph& Graph::operator=(Graph&& other) noexcept {
  if (this != &other) {
    reset();
    state_ = std::move(other.state_);
  }
  return *this;
}
Graph::~Graph() {
  abandon();
  reset();
}

bool Graph::has_capture() const { return state_ != nullptr && state_->work != nullptr; }

Stream Graph::side_stream() {
  const Device device(DeviceType::cuda, current_device());
  const Stream stream = Stream::from_pool(device);
  stream.wait(current_stream(device));
  return stream;
}

void Graph::capture_begin() {
  TAUT_CHECK(state_ == nullptr, ValueError,
             "graph: it holds a capture already; reset() it or take another");
  TAUT_CHECK(capture_now.graph == nullptr, ValueError, "graph: this thread is capturing already");
  const Device device(DeviceType::cuda, current_device());
  check_device(device);
  const RuntimeGuard guard(device);
  const cudaStream_t stream = stream_on(device.index());
  TAUT_CHECK(stream != nullptr, ValueError,
             "graph: the default stream cannot be captured; make another one current");
  auto state = std::make_unique<State>();
  state->device = device;
  void* base = nullptr;
  check_graph("cudaMalloc", cudaMalloc(&base, sizeof(GeneratorState)));
  state->random_base = static_cast<GeneratorState*>(base);
  state->pool = new_memory_pool();
  state_ = std::move(state);
  // Relaxed: other threads, and the allocator on this one, may ask the driver for memory meanwhile.
  const cudaError_t status = cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed);
  if (status != cudaSuccess) reset();
  check_graph("the stream cannot be captured", status);
  capture_now = {.graph = this,
                 .number = captures.fetch_add(1) + 1,
                 .stream = stream,
                 .pool_before = set_memory_pool(state_->pool),
                 .random_base = state_->random_base,
                 .callbacks = &state_->callbacks,
                 .refusal = &state_->refusal};
}

namespace {

// Ends this thread's capture; the graph is null when it is not complete.
cudaError_t end_capture(cudaGraph_t* graph) {
  const Capture capture = std::exchange(capture_now, {});
  set_memory_pool(capture.pool_before);
  return cudaStreamEndCapture(capture.stream, graph);
}

}  // namespace

void Graph::capture_end() {
  TAUT_CHECK(capture_now.graph == this, ValueError,
             "graph: capture_end() without capture_begin() on this thread");
  const RuntimeGuard guard(state_->device);
  state_->random_blocks = capture_now.random_blocks;
  cudaError_t status = end_capture(&state_->nodes);
  if (status == cudaSuccess) status = cudaGraphInstantiate(&state_->work, state_->nodes, 0);
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or the next launch would find it
  state_->work = nullptr;
  reset();
  check_graph("the capture failed", status);
}

void Graph::abandon() noexcept {
  if (capture_now.graph != this) return;
  cudaGraph_t graph = nullptr;
  end_capture(&graph);
  if (graph != nullptr) cudaGraphDestroy(graph);
  cudaGetLastError();
  reset();
}

namespace {

// See Note [Arguments of replays].
void run_callbacks(cudaGraphExec_t work, const std::vector<Callback<void()>>& callbacks) {
  struct Scope {
    explicit Scope(cudaGraphExec_t graph) { replayed_now = graph; }
    ~Scope() { replayed_now = nullptr; }
  };
  const Scope scope(work);
  for (const Callback<void()>& callback : callbacks) callback();
}

}  // namespace

void Graph::replay() {
  TAUT_CHECK(has_capture(), ValueError, "graph: there is no capture to replay");
  const TraceScope scope(ScopeKind::op, "cuda_graph.replay");
  check_can_wait("graph.replay", state_->device);
  const RuntimeGuard guard(state_->device);
  if (!state_->callbacks.empty()) run_callbacks(state_->work, state_->callbacks);
  const cudaStream_t stream = stream_on(state_->device.index());
  if (state_->random_blocks > 0) {
    const GeneratorState base = default_generator().reserve(state_->random_blocks);
    // From memory that is not pinned so few bytes are taken along by the call itself.
    check_graph("cudaMemcpyAsync", cudaMemcpyAsync(state_->random_base, &base, sizeof(base),
                                                   cudaMemcpyHostToDevice, stream));
  }
  check_graph("cudaGraphLaunch", cudaGraphLaunch(state_->work, stream));
}

void Graph::reset() noexcept {
  if (state_ == nullptr) return;
  const std::unique_ptr<State> state = std::move(state_);
  int device = 0;
  cudaGetDevice(&device);
  cudaSetDevice(state->device.index());
  if (state->work != nullptr) {
    cudaDeviceSynchronize();
    cudaGraphExecDestroy(state->work);
  }
  if (state->nodes != nullptr) cudaGraphDestroy(state->nodes);
  cudaFree(state->random_base);
  cudaGetLastError();
  cudaSetDevice(device);
  release_memory_pool(state->device, state->pool);
}

}  // namespace taut::cuda
