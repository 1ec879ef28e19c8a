#include "src/ai/transport.h"

#include <curl/curl.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <limits>
#include <mutex>
#include <span>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "src/ai/host_limits.h"
#include "src/ai/libcurl_memory.h"
#include "src/ai/poller.h"
#include "src/ai/steady_time.h"
#include "taut/base/check.h"

namespace taut::ai {

namespace {

struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, EasyDeleter>;

CURLM* make_multi(const ClientOptions& options) {
  start_libcurl();
  CURLM* multi = curl_multi_init();
  if (multi == nullptr) throw IoError("client: libcurl does not start; got no multi handle");
  constexpr long kStreamsPerConnection = 100;
  curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                    static_cast<long>(options.max_connections_per_host));
  curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                    static_cast<long>(options.max_connections));
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(options.max_connections));
  curl_multi_setopt(multi, CURLMOPT_MAX_CONCURRENT_STREAMS, kStreamsPerConnection);
  return multi;
}

/// The roots that OpenSSL's own programs take, where the caller names none.
std::string roots(const ClientOptions& options) {
  if (!options.ca_file.empty()) return options.ca_file;
  const char* file = std::getenv("SSL_CERT_FILE");
  return file == nullptr ? std::string() : std::string(file);
}

/// Of the connection; 0 where there is none yet.
long local_port(CURL* easy) {
  long port = 0;
  curl_easy_getinfo(easy, CURLINFO_LOCAL_PORT, &port);
  return port;
}

constexpr size_t kIdleHandles = 64;

// Note [Fetching chains]
// What a piece of a stream needs lies at the end of some pointers: the transfer, its call, its
// reader, its assembler, the text so far. With hundreds of streams none of it is in the cache, and
// to follow one chain is to wait for memory at each step. So fetch(depth) of the first object
// begins to fetch what lies `depth` pointers further: called with 0 for all streams that have
// something to read, then with 1 and so on, memory answers for all of them at the same time.
//
// So many at once as the first cache has room for, and how many pointers lie between a transfer and
// the end of the text:
constexpr size_t kChainsAtOnce = 32;
constexpr int kLongestChain = 8;
constexpr double kNever = std::numeric_limits<double>::infinity();

}  // namespace

struct Transport::State {
  State(const ClientOptions& client_options, std::shared_ptr<TimeSource> time_source,
        std::shared_ptr<Executor> executor)
      : options(client_options),
        time(std::move(time_source)),
        callbacks(std::move(executor)),
        ca_file(roots(client_options)),
        multi(make_multi(client_options)),
        limits(client_options.max_connections_per_host, client_options.max_connections) {
    curl_multi_setopt(multi.get(), CURLMOPT_SOCKETFUNCTION, &State::on_socket);
    curl_multi_setopt(multi.get(), CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi.get(), CURLMOPT_TIMERFUNCTION, &State::on_timer);
    curl_multi_setopt(multi.get(), CURLMOPT_TIMERDATA, this);
  }

  static int on_socket(CURL*, curl_socket_t socket, int what, void* self, void*);
  static int on_timer(CURLM*, long milliseconds, void* self);

  struct Entry {
    std::unique_ptr<Transfer> transfer;
    bool is_admitted = false;  // it counts among those of its host
    bool is_done = false;      // as libcurl says
    Easy easy;                 // empty until it begins
  };

  void serve();
  void end_all();
  void run_tasks();
  void put_at_socket(Transfer& transfer, int socket);
  void take_from_socket(const Transfer& transfer);
  const Transfer* at_socket(int socket) const;
  void act(std::span<const Poller::Ready> ready);
  void fetch_chains(std::span<const Poller::Ready> ready) const;
  void read_finished();
  void sweep();
  void begin_waiting();
  void begin(TransferId id, Entry& entry);
  void fail(TransferId id, ErrorKind kind, std::string message);
  void end(TransferId id, const TransferResult& result);
  void remove(TransferId id);
  void drop_what_is_held_back(const Entry& entry);
  void leave_connection(const Entry& entry);
  CURL* neighbour_of(const Entry& gone) const;
  double wait_time() const;
  void count(CURL* easy, const Transfer& transfer);

  const ClientOptions options;
  const std::shared_ptr<TimeSource> time;
  const std::shared_ptr<Executor> callbacks;
  const std::string ca_file;
  Poller poller;
  double now = 0;       // of `time`, when the thread woke last
  double due = kNever;  // when libcurl wants to be called without a socket, by steady_time()
  const std::unique_ptr<CURLM, MultiDeleter> multi;

  std::mutex mutex;  // of these
  std::deque<Callback<void()>> tasks;
  bool is_closed = false;

  // The thread's own. The timers are there as long as any transfer.
  Timers timers;
  HostLimits limits;
  std::vector<Easy> idle;
  std::unordered_map<TransferId, Entry> transfers;
  std::vector<const Transfer*> at_sockets;  // by socket; the last of those that share it
  // What must not be done while libcurl calls: handles to add and to take away.
  std::vector<TransferId> to_begin, doomed;
  std::vector<std::shared_ptr<TransferListener>> released;
  TransferId last_id = 0;
  bool is_over = false;

  std::atomic<int64_t> connections{0}, bytes_sent{0}, bytes_received{0};
  std::thread thread;
};

Transport::Transport(const ClientOptions& options, std::shared_ptr<TimeSource> time,
                     std::shared_ptr<Executor> callbacks)
    : state_(std::make_shared<State>(options, std::move(time), std::move(callbacks))) {
  state_->thread = std::thread([state = state_] { state->serve(); });
}

Transport::~Transport() { close(nullptr); }

bool Transport::post(Callback<void()> task) {
  bool is_first = false;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->is_closed) return false;
    is_first = state_->tasks.empty();
    state_->tasks.push_back(std::move(task));
  }
  if (is_first) state_->poller.wake();
  return true;
}

void Transport::close(Callback<void()> last) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!std::exchange(state_->is_closed, true)) {
      state_->tasks.push_back([state = state_.get(), last = std::move(last)] {
        if (last) last();
        state->is_over = true;
      });
    }
  }
  if (state_->thread.get_id() == std::this_thread::get_id()) {
    state_->run_tasks();
    state_->end_all();
    state_->thread.detach();
    return;
  }
  state_->poller.wake();
  if (state_->thread.joinable()) state_->thread.join();
}

Transport::Counters Transport::counters() const {
  return {state_->connections.load(), state_->bytes_sent.load(), state_->bytes_received.load()};
}

const TimeSource& Transport::time() const { return *state_->time; }
Timers& Transport::timers() { return state_->timers; }

TransferId Transport::start(TransferRequest request, std::shared_ptr<TransferListener> listener) {
  State& state = *state_;
  const TransferId id = ++state.last_id;
  const std::string origin = request.base.origin();
  auto fail = [state_pointer = &state, id](ErrorKind kind, std::string message) {
    state_pointer->fail(id, kind, std::move(message));
  };
  State::Entry entry;
  entry.transfer = std::make_unique<Transfer>(
      Transfer::Settings{state.options, *state.time, state.now, state.timers, state.limits,
                         state.poller, state.ca_file},
      id, std::move(request), std::move(listener), std::move(fail));
  entry.is_admitted = state.limits.admit(origin, id);
  if (entry.is_admitted) state.to_begin.push_back(id);
  state.transfers.emplace(id, std::move(entry));
  return id;
}

void Transport::stop(TransferId id) {
  const auto found = state_->transfers.find(id);
  if (found == state_->transfers.end()) return;
  auto listener = found->second.transfer->take_listener();
  if (listener == nullptr) return;  // it has ended for its listener: the rest is on its way
  state_->released.push_back(std::move(listener));
  state_->doomed.push_back(id);
}

void Transport::resume(TransferId id) {
  const auto found = state_->transfers.find(id);
  if (found == state_->transfers.end() || !found->second.easy) return;
  const Transfer& transfer = *found->second.transfer;
  if (const int code = found->second.transfer->resume()) state_->end(id, transfer.result(code));
}

// ---- The thread ---------------------------------------------------------------------------------

void Transport::State::serve() {
  Executor::Holding holding(*callbacks);
  std::span<const Poller::Ready> ready;
  for (;;) {
    now = time->now();
    run_tasks();
    timers.run_due(now);
    sweep();
    act(ready);
    read_finished();
    sweep();
    if (is_over) break;
    const double rest = holding.pass_on();
    if (is_over) break;
    ready = poller.wait(std::min(rest, wait_time()));
  }
  end_all();
}

void Transport::State::end_all() {
  std::vector<TransferId> left;
  for (const auto& [id, entry] : transfers) left.push_back(id);
  for (const TransferId id : left) remove(id);
  released.clear();
  timers.clear();
}

void Transport::State::run_tasks() {
  std::deque<Callback<void()>> batch;
  {
    const std::lock_guard lock(mutex);
    batch.swap(tasks);
  }
  for (Callback<void()>& task : batch) {
    task();
    task = nullptr;
  }
}

/// Seconds until something is to be done, whatever the sockets do.
double Transport::State::wait_time() const {
  double seconds = 60;
  if (!timers.empty()) seconds = std::fmin(timers.next() - time->now(), seconds);
  if (due < kNever) seconds = std::fmin(due - steady_time(), seconds);
  return std::fmax(seconds, 0);
}

/// See Note [Fetching chains].
void Transport::State::fetch_chains(std::span<const Poller::Ready> ready) const {
  for (int depth = 0; depth < kLongestChain; ++depth) {
    for (const Poller::Ready& socket : ready) {
      if (const Transfer* const transfer = at_socket(socket.socket)) transfer->fetch(depth);
    }
  }
}

/// Lets libcurl go on where it can.
void Transport::State::act(std::span<const Poller::Ready> ready) {
  int running = 0;
  for (size_t i = 0; i < ready.size(); ++i) {
    if (i % kChainsAtOnce == 0) {
      fetch_chains(ready.subspan(i, std::min(kChainsAtOnce, ready.size() - i)));
    }
    const Poller::Ready& socket = ready[i];
    const int what = (socket.can_read ? CURL_CSELECT_IN : 0) |
                     (socket.can_write ? CURL_CSELECT_OUT : 0) |
                     (socket.has_failed ? CURL_CSELECT_ERR : 0);
    curl_multi_socket_action(multi.get(), socket.socket, what, &running);
  }
  if (due == kNever || due > steady_time()) return;
  due = kNever;  // a time is told once
  curl_multi_socket_action(multi.get(), CURL_SOCKET_TIMEOUT, 0, &running);
}

/// Where there is no memory for it nothing is fetched ahead: libcurl calls this, and nothing is
/// thrown through it.
void Transport::State::put_at_socket(Transfer& transfer, int socket) {
  take_from_socket(transfer);
  transfer.set_socket(socket);
  if (socket < 0) return;
  const auto place = static_cast<size_t>(socket);
  try {
    if (place >= at_sockets.size()) at_sockets.resize(place + 1);
    at_sockets[place] = &transfer;
  } catch (const std::bad_alloc&) {
  }
}

void Transport::State::take_from_socket(const Transfer& transfer) {
  if (at_socket(transfer.socket()) != &transfer) return;
  at_sockets[static_cast<size_t>(transfer.socket())] = nullptr;
}

/// Null where none is known.
const Transfer* Transport::State::at_socket(int socket) const {
  const auto place = static_cast<size_t>(socket);
  return socket >= 0 && place < at_sockets.size() ? at_sockets[place] : nullptr;
}

/// What libcurl waits for at a socket has changed. Where it cannot be waited for, the transfer
/// falls silent, and its time-outs end it.
int Transport::State::on_socket(CURL* easy, curl_socket_t socket, int what, void* self, void*) {
  State& state = *static_cast<State*>(self);
  void* transfer = nullptr;
  if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer) == CURLE_OK && transfer != nullptr) {
    state.put_at_socket(*static_cast<Transfer*>(transfer), what == CURL_POLL_REMOVE ? -1 : socket);
  }
  const bool reads = what == CURL_POLL_IN || what == CURL_POLL_INOUT;
  const bool writes = what == CURL_POLL_OUT || what == CURL_POLL_INOUT;
  reads || writes ? state.poller.watch(socket, reads, writes) : state.poller.forget(socket);
  return 0;
}

int Transport::State::on_timer(CURLM*, long milliseconds, void* self) {
  static_cast<State*>(self)->due =
      milliseconds < 0 ? kNever : steady_time() + 1e-3 * static_cast<double>(milliseconds);
  return 0;
}

void Transport::State::sweep() {
  begin_waiting();  // a head may have told that a host takes more at once
  while (!doomed.empty() || !to_begin.empty()) {
    const std::vector<TransferId> ended = std::exchange(doomed, {});
    for (const TransferId id : ended) remove(id);
    const std::vector<TransferId> fresh = std::exchange(to_begin, {});
    for (const TransferId id : fresh) {
      const auto found = transfers.find(id);
      if (found != transfers.end()) begin(id, found->second);
    }
    begin_waiting();
  }
  released.clear();
}

void Transport::State::begin_waiting() {
  while (const TransferId id = limits.next()) {
    transfers.at(id).is_admitted = true;
    to_begin.push_back(id);
  }
}

void Transport::State::begin(TransferId id, Entry& entry) {
  TransferResult result;
  try {
    if (idle.empty()) {
      entry.easy.reset(curl_easy_init());
    } else {
      entry.easy = std::move(idle.back());
      idle.pop_back();
    }
    if (!entry.easy) throw std::bad_alloc();
    entry.transfer->attach(entry.easy.get());
    const CURLMcode code = curl_multi_add_handle(multi.get(), entry.easy.get());
    if (code == CURLM_OK) return;
    throw IoError(concat("client: libcurl does not begin; got ", curl_multi_strerror(code)));
  } catch (...) {
    result.error = std::current_exception();
  }
  end(id, result);
}

void Transport::State::read_finished() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    void* self = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &self);
    const auto& transfer = *static_cast<const Transfer*>(self);
    if (const auto found = transfers.find(transfer.id()); found != transfers.end()) {
      found->second.is_done = true;
    }
    end(transfer.id(), transfer.result(code));
  }
}

/// What the transport's own timers say of a transfer.
void Transport::State::fail(TransferId id, ErrorKind kind, std::string message) {
  const auto found = transfers.find(id);
  if (found == transfers.end()) return;
  TransferResult result;
  result.kind = kind;
  result.message = std::move(message);
  result.bytes_received = found->second.transfer->bytes_received();
  end(id, result);
}

void Transport::State::end(TransferId id, const TransferResult& result) {
  const auto found = transfers.find(id);
  if (found == transfers.end()) return;
  const auto listener = found->second.transfer->take_listener();
  doomed.push_back(id);
  if (listener != nullptr) listener->on_end(result);
}

void Transport::State::remove(TransferId id) {
  const auto found = transfers.find(id);
  if (found == transfers.end()) return;
  Entry entry = std::move(found->second);
  transfers.erase(found);
  const std::string origin = entry.transfer->request().base.origin();
  if (!entry.is_admitted) limits.forget(id);
  if (!entry.easy) {
    if (entry.is_admitted) limits.leave(origin);
    return;
  }
  drop_what_is_held_back(entry);
  leave_connection(entry);
  take_from_socket(*entry.transfer);
  count(entry.easy.get(), *entry.transfer);
  limits.leave(origin);
  if (!entry.is_done || entry.transfer->was_paused() || idle.size() >= kIdleHandles) return;
  curl_easy_reset(entry.easy.get());  // nothing of this provider stays in it, its key least of all
  idle.push_back(std::move(entry.easy));
}

/// Where a transfer over HTTP/2 ends while it is paused, libcurl 7.88 leaves in the handle what it
/// held back: it gives it to the next transfer of the handle that is paused, or forgets to free it.
/// To go on makes it let go, and nobody listens. The handle is used no more all the same.
void Transport::State::drop_what_is_held_back(const Entry& entry) {
  if (auto listener = entry.transfer->take_listener()) released.push_back(std::move(listener));
  if (entry.transfer->is_paused()) curl_easy_pause(entry.easy.get(), CURLPAUSE_CONT);
}

/// Takes a transfer from its connection. The server is to hear of it at once where the answer is
/// not complete: it works, and bills, until then. libcurl 7.88 keeps an RST_STREAM back until
/// anything else happens on the connection. So another stream of it is made to send, and where
/// there is none the connection is closed, as HTTP/1.1 has to do anyway.
void Transport::State::leave_connection(const Entry& entry) {
  CURL* const easy = entry.easy.get();
  CURL* other = nullptr;
  if (!entry.is_done) {
    other = neighbour_of(entry);
    if (other == nullptr) curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  }
  curl_multi_remove_handle(multi.get(), easy);
  if (other == nullptr) return;
  curl_easy_pause(other, CURLPAUSE_SEND);  // it has sent all, and hears nothing of this
  curl_easy_pause(other, CURLPAUSE_CONT);
}

/// A transfer that goes on over the same connection; null where there is none. While a transfer
/// goes on, libcurl tells no more of its connection than its ports.
CURL* Transport::State::neighbour_of(const Entry& gone) const {
  const long port = local_port(gone.easy.get());
  if (port == 0) return nullptr;
  const std::string origin = gone.transfer->request().base.origin();
  for (const auto& [id, entry] : transfers) {
    if (!entry.easy || entry.is_done || entry.transfer->is_paused()) continue;
    if (local_port(entry.easy.get()) != port) continue;
    if (entry.transfer->request().base.origin() == origin) return entry.easy.get();
  }
  return nullptr;
}

void Transport::State::count(CURL* easy, const Transfer& transfer) {
  long new_connections = 0, request_bytes = 0;
  curl_off_t uploaded = 0;
  curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &new_connections);
  curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &request_bytes);
  curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
  connections += new_connections;
  bytes_sent += request_bytes + uploaded;
  bytes_received += transfer.bytes_received();
}

}  // namespace taut::ai
