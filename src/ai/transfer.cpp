#include "src/ai/transfer.h"

#include <curl/curl.h>

#include <charconv>
#include <cmath>
#include <cstring>

#include "src/ai/time_source.h"
#include "taut/base/check.h"
#include "taut/base/fetch_memory.h"

namespace taut::ai {

namespace {

constexpr int64_t kMostDrained = 65536;  // bytes
constexpr double kDrainTime = 0.25;      // seconds
constexpr int64_t kMuch = 4096;          // bytes at once: more than words
// The least that libcurl takes, in bytes. Newer ones (8.14, 8.22) keep a buffer of this size for as
// long as a request runs, zeroed and wiped as a whole.
constexpr long kUploadBuffer = 16384;
// CURLE_TOO_LARGE of libcurl 8.6: the headers that this is compiled with may be older.
constexpr int kTooLarge = 100;

[[noreturn]] void malformed(std::string message) {
  throw ProviderError({.kind = ErrorKind::malformed_response, .message = std::move(message)});
}

long milliseconds(double seconds) {
  return static_cast<long>(std::fmin(std::fmax(std::ceil(seconds * 1000), 1), 2e9));
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

/// The status in a line such as "HTTP/1.1 200 OK"; 0 where there is none.
int status_of(std::string_view line) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) return 0;
  int status = 0;
  std::from_chars(line.data() + space + 1, line.data() + line.size(), status);
  return status;
}

curl_slist* append_line(curl_slist* list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list, line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  return longer;
}

/// libcurl sends "Name;" as a header without a value, and takes "Name:" for its own to be left out.
std::string header_line(std::string_view name, std::string_view value) {
  std::string line(name);
  if (value.empty()) return line + ";";
  line += ": ";
  line += value;
  return line;
}

void wipe_and_free(curl_slist* list) {
  for (curl_slist* line = list; line != nullptr; line = line->next) {
    wipe(line->data, std::strlen(line->data));
  }
  curl_slist_free_all(list);
}

bool contains(std::string_view text, std::string_view piece) {
  return text.find(piece) != std::string_view::npos;
}

}  // namespace

Transfer::Transfer(Settings settings, uint64_t id, TransferRequest request,
                   std::shared_ptr<TransferListener> listener, Fail fail)
    : listener_(std::move(listener)),
      settings_(settings),
      id_(id),
      request_(std::move(request)),
      fail_(std::move(fail)),
      error_text_(CURL_ERROR_SIZE, '\0') {}

Transfer::~Transfer() {
  settings_.timers.cancel(timer_);
  wipe_and_free(static_cast<curl_slist*>(header_list_));
}

void Transfer::attach(void* easy) {
  easy_ = easy;
  set_headers();
  set_options();
  set_trace();
}

void Transfer::set_headers() {
  curl_slist* list = nullptr;
  try {
    list = append_line(list, "Expect:");  // otherwise large bodies wait for a 100
    for (const auto& [name, value] : request_.headers) {
      list = append_line(list, header_line(name, value));
    }
    if (request_.key != nullptr && !request_.key->empty()) {
      std::string line = request_.key_header.name + ": " + request_.key_header.prefix;
      line.reserve(line.size() + request_.key->view().size());
      line += request_.key->view();
      list = append_line(list, line);
      wipe(line);
    }
  } catch (...) {
    wipe_and_free(list);
    throw;
  }
  header_list_ = list;
}

void Transfer::set_options() {
  const auto set = [this](CURLoption option, auto value) {
    const CURLcode code = curl_easy_setopt(easy_, option, value);
    if (code != CURLE_OK) {
      throw ProviderError(
          {.kind = ErrorKind::invalid_request,
           .message = concat("libcurl does not take option ", static_cast<int>(option), "; got ",
                             curl_easy_strerror(code))});
    }
  };
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_ERRORBUFFER, error_text_.data());
  set(CURLOPT_PRIVATE, static_cast<void*>(this));
  set(CURLOPT_URL, request_.url.c_str());
  set(CURLOPT_HTTPHEADER, static_cast<curl_slist*>(header_list_));

  set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  set(CURLOPT_HEADERFUNCTION, &Transfer::on_header_line);
  set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(CURLOPT_PREREQFUNCTION, &Transfer::on_request_ready);
  set(CURLOPT_PREREQDATA, static_cast<void*>(this));

  if (request_.method == "GET") {
    set(CURLOPT_HTTPGET, 1L);
  } else {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body->size()));
    set(CURLOPT_POSTFIELDS, request_.body->data());
    set(CURLOPT_UPLOAD_BUFFERSIZE, kUploadBuffer);
    if (request_.method != "POST") set(CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  }

  // Only TLS agrees on HTTP/2 before the first request; without it nobody waits for an agreement.
  const bool is_encrypted = request_.base.is_encrypted();
  set(CURLOPT_HTTP_VERSION,
      static_cast<long>(is_encrypted ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
  set(CURLOPT_PIPEWAIT, is_encrypted ? 1L : 0L);
  // What compresses a stream also holds it back; it is decoded all the same where it comes.
  set(CURLOPT_ACCEPT_ENCODING, request_.is_stream ? "identity" : "gzip, deflate");
  set(CURLOPT_PROTOCOLS_STR, request_.base.scheme.c_str());
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(request_.connect_timeout));

  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!settings_.ca_file.empty()) set(CURLOPT_CAINFO, settings_.ca_file.c_str());
  if (!settings_.options.proxy.empty()) {
    set(CURLOPT_PROXY, settings_.options.proxy.c_str());
    set(CURLOPT_NOPROXY, "");
  } else if (request_.base.is_loopback) {
    set(CURLOPT_NOPROXY, "*");
  }
}

void Transfer::set_trace() {
  if (!settings_.options.trace) return;
  trace_.emplace(id_, settings_.options.trace);
  // The type that libcurl calls by: it is not checked by the macro.
  const curl_debug_callback call = [](CURL* easy, curl_infotype kind, char* data, size_t bytes,
                                      void* self) {
    return on_trace(easy, static_cast<int>(kind), data, bytes, self);
  };
  curl_easy_setopt(easy_, CURLOPT_DEBUGFUNCTION, call);
  curl_easy_setopt(easy_, CURLOPT_DEBUGDATA, static_cast<void*>(this));
  curl_easy_setopt(easy_, CURLOPT_VERBOSE, 1L);
}

// ---- What libcurl calls. Nothing is thrown through it. ------------------------------------------

int Transfer::on_request_ready(void* self, char*, char*, int, int) {
  auto& transfer = *static_cast<Transfer*>(self);
  try {
    transfer.is_requested_ = true;
    transfer.settings_.timers.cancel(transfer.timer_);
    transfer.timer_ = transfer.settings_.timers.set(
        transfer.settings_.time.now() + transfer.request_.first_byte_timeout, [&transfer] {
          transfer.timer_ = {};
          transfer.fail_(ErrorKind::timeout_first_byte,
                         concat("no answer began; got nothing for ",
                                transfer.request_.first_byte_timeout, " s"));
        });
    return CURL_PREREQFUNC_OK;
  } catch (...) {
    transfer.error_ = std::current_exception();
    return CURL_PREREQFUNC_ABORT;
  }
}

size_t Transfer::on_header_line(char* data, size_t size, size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  const size_t bytes = size * count;
  if (transfer.is_draining_) return bytes;
  if (transfer.listener_ == nullptr) return 0;
  try {
    transfer.read_header_line({data, bytes});
    return bytes;
  } catch (...) {
    transfer.error_ = std::current_exception();
    return 0;
  }
}

size_t Transfer::on_body(char* data, size_t size, size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  const size_t bytes = size * count;
  if (transfer.is_draining_) return transfer.drain(bytes);
  if (transfer.listener_ == nullptr) return 0;
  try {
    return transfer.read_body({data, bytes});
  } catch (...) {
    transfer.error_ = std::current_exception();
    return 0;
  }
}

int Transfer::on_trace(void*, int kind, char* data, size_t bytes, void* self) {
  Trace& trace = *static_cast<Transfer*>(self)->trace_;
  const std::string_view text(data, bytes);
  switch (kind) {
    case CURLINFO_TEXT: trace.add(Trace::Kind::note, text); break;
    case CURLINFO_HEADER_OUT: trace.add(Trace::Kind::head_sent, text); break;
    case CURLINFO_HEADER_IN: trace.add(Trace::Kind::head_received, text); break;
    case CURLINFO_DATA_OUT: trace.add(Trace::Kind::body_sent, text); break;
    case CURLINFO_DATA_IN: trace.add(Trace::Kind::body_received, text); break;
    default: break;  // what TLS sends tells nothing
  }
  return 0;
}

// ---- Reading ------------------------------------------------------------------------------------

void Transfer::read_header_line(std::string_view line) {
  header_bytes_ += static_cast<int64_t>(line.size());
  const int64_t limit = settings_.options.limits.headers;
  if (header_bytes_ > limit) {
    malformed(concat("the headers are too large; got more than ", limit, " bytes"));
  }
  if (has_head_) return;  // trailers say nothing here
  if (line.starts_with("HTTP/")) {
    status_ = status_of(line);
    headers_.clear();
    return;
  }
  const std::string_view text = trimmed(line);
  if (text.empty()) {
    if (status_ >= 200) end_head();  // what comes before is but a notice
    return;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  headers_.emplace_back(lower_case(trimmed(line.substr(0, colon))),
                        trimmed(line.substr(colon + 1)));
}

void Transfer::end_head() {
  const std::string* length = nullptr;
  for (const auto& [name, value] : headers_) {
    if (name != "content-length") continue;
    if (length != nullptr && *length != value) {
      malformed(concat("two lengths of one body; got ", *length, " and ", value));
    }
    length = &value;
  }
  long version = 0;
  curl_easy_getinfo(easy_, CURLINFO_HTTP_VERSION, &version);
  is_multiplexed_ = version >= CURL_HTTP_VERSION_2_0;
  if (is_multiplexed_) settings_.limits.set_multiplexed(request_.base.origin());
  has_head_ = true;
  last_bytes_ = last_progress_ = settings_.time.now();
  watch_silence();
  listener_->on_head(status_, std::move(headers_));
}

size_t Transfer::read_body(std::string_view bytes) {
  const Flow flow = listener_->on_bytes(bytes);
  if (flow == Flow::pause) {
    pause();
    return CURL_WRITEFUNC_PAUSE;
  }
  bytes_received_ += static_cast<int64_t>(bytes.size());
  if (last_bytes_ != settings_.now) {
    received_before_ = bytes_received_ - static_cast<int64_t>(bytes.size());
  }
  last_bytes_ = settings_.now;
  if (flow == Flow::progress) {
    last_progress_ = last_bytes_;
    if (!is_flowing_) flow_on();
  }
  if (bytes_received_ - received_before_ >= kMuch) settings_.poller.hurry();
  if (flow == Flow::enough) start_draining();
  return bytes.size();
}

void Transfer::fetch(int depth) const {
  if (depth == 0) {
    fetch_memory(this, &id_);
  } else if (listener_ != nullptr) {
    listener_->fetch(depth - 1);
  }
}

/// The answer has begun: nobody is kept waiting by who reads the rest of it a moment later.
void Transfer::flow_on() {
  is_flowing_ = true;
  if (request_.is_stream && has_own_socket()) settings_.poller.let_wait(socket_);
}

/// libcurl 8.5.0 reads on where it is told that there is something to read, and throws all that it
/// holds back away when it meets the end. So it is not told.
void Transfer::pause() {
  is_paused_ = was_paused_ = true;
  is_flowing_ = false;
  settings_.timers.cancel(timer_);
  if (has_own_socket()) settings_.poller.forget(socket_);
}

int Transfer::resume() {
  if (!is_paused_) return CURLE_OK;
  is_paused_ = false;
  if (has_own_socket()) settings_.poller.watch(socket_, true, false);
  last_bytes_ = last_progress_ = settings_.time.now();
  watch_silence();
  // The bytes that were not taken are given again within this call, and may end the transfer.
  return curl_easy_pause(easy_, CURLPAUSE_CONT);
}

void Transfer::start_draining() {
  is_draining_ = true;
  listener_ = nullptr;
  settings_.timers.cancel(timer_);
  timer_ = settings_.timers.set(settings_.time.now() + kDrainTime, [this] {
    timer_ = {};
    fail_(ErrorKind::cancelled, "the end of the connection was not waited for");
  });
}

size_t Transfer::drain(size_t bytes) {
  drained_ += static_cast<int64_t>(bytes);
  return drained_ > kMostDrained ? 0 : bytes;
}

/// One timer for two limits. It does not move with every byte: it looks when it fires, and again
/// later where it came too early.
void Transfer::watch_silence() {
  const Timeouts& timeouts = settings_.options.timeouts;
  const double silent = last_bytes_ + timeouts.idle;
  const double empty = last_progress_ + timeouts.keep_alive_only;
  settings_.timers.cancel(timer_);
  timer_ = settings_.timers.set(std::fmin(silent, empty), [this] {
    timer_ = {};
    const Timeouts& limits = settings_.options.timeouts;
    const double now = settings_.time.now();
    if (now >= last_bytes_ + limits.idle) {
      fail_(ErrorKind::timeout_idle,
            concat("the answer fell silent; got nothing for ", limits.idle, " s"));
    } else if (now >= last_progress_ + limits.keep_alive_only) {
      fail_(ErrorKind::timeout_idle,
            concat("the answer does not go on; got only signs of life for ", limits.keep_alive_only,
                   " s"));
    } else {
      watch_silence();
    }
  });
}

// ---- The end ------------------------------------------------------------------------------------

ErrorKind Transfer::kind_of_cut() const {
  return has_head_ ? ErrorKind::truncated_stream : ErrorKind::connection;
}

ErrorKind Transfer::kind_of(int code, std::string& message) const {
  long proxy_status = 0;
  curl_easy_getinfo(easy_, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
  constexpr long kProxyWantsCredentials = 407;
  if (!is_requested_ && proxy_status >= 300) {
    message =
        concat("the proxy refused the connection; got HTTP ", static_cast<int64_t>(proxy_status));
    return proxy_status == kProxyWantsCredentials ? ErrorKind::auth : ErrorKind::connection;
  }
  // An HTTP/2 head that is larger than libcurl keeps, as 7.88 tells of it, or than nghttp2 reads.
  if (!has_head_ && (contains(message, "user callback function failed") ||
                     contains(message, "CONTINUATION frames"))) {
    return ErrorKind::malformed_response;
  }
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return is_requested_ ? ErrorKind::timeout_first_byte : ErrorKind::timeout_connect;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS: return ErrorKind::tls_verify;
    case CURLE_UNSUPPORTED_PROTOCOL:  // an answer that is not HTTP
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_FILESIZE_EXCEEDED:
    case CURLE_WRITE_ERROR: return ErrorKind::malformed_response;
    case kTooLarge:            // a header that is too long
    case CURLE_OUT_OF_MEMORY:  // what 7.88 says of it
      return header_bytes_ > 0 || is_requested_ ? ErrorKind::malformed_response
                                                : ErrorKind::connection;
    case CURLE_RECV_ERROR:
      // The same code tells of a reset and of chunks that are none.
      if (has_head_ && (contains(message, "chunk") || contains(message, "hexadecimal"))) {
        return ErrorKind::malformed_response;
      }
      return kind_of_cut();
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_GOT_NOTHING: return kind_of_cut();
    default: return ErrorKind::connection;
  }
}

TransferResult Transfer::result(int code) const {
  TransferResult result;
  result.bytes_received = bytes_received_;
  result.error = error_;
  if (error_) return result;
  if (code == CURLE_OK && has_head_) {
    result.is_complete = true;
    return result;
  }
  result.message = error_text_.front() != '\0' ? std::string(error_text_.data())
                                               : curl_easy_strerror(static_cast<CURLcode>(code));
  result.kind = code == CURLE_OK ? ErrorKind::connection : kind_of(code, result.message);
  return result;
}

}  // namespace taut::ai
