#pragma once
// What goes wrong between Taut and an AI provider: one list of kinds for all providers.
//   try { response = provider.chat(request).get(); }
//   catch (const taut::ai::ProviderError& error) {
//     if (error.kind() == taut::ai::ErrorKind::rate_limited) ...
//   }

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "taut/base/error.h"
#include "taut/base/macros.h"

namespace taut::ai {

/// What failed, whoever the provider is.
enum class ErrorKind : uint8_t {
  connection,             // no name, refused, TLS handshake, reset before any byte
  timeout_connect,        // no connection in time
  timeout_first_byte,     // no answer began in time
  timeout_idle,           // a stream fell silent
  timeout_total,          // the deadline of the whole call
  truncated_stream,       // a stream ended before its protocol's own end
  stream_error,           // the provider reported an error inside a stream
  rate_limited,           // too many requests or tokens: a pause helps
  quota_exhausted,        // no money or no quota left: waiting does not help
  overloaded,             // the provider has too much to do
  server_error,           // the provider failed
  auth,                   // no key, or a wrong one
  permission,             // the key may not do this
  not_found,              // no such model or object
  invalid_request,        // the request makes no sense to the provider
  unsupported_parameter,  // the model does not take one of the parameters
  context_length,         // more tokens than the model can see
  content_policy,         // refused for what it says
  request_too_large,      // more bytes than are allowed
  malformed_response,     // an answer that is not what the protocol promises
  tls_verify,             // the server's certificate is not to be trusted
  cancelled,              // the caller called it off
  budget_exceeded,        // the caller's own limit of money or tokens
  no_healthy_provider,    // nobody is left to ask
};

/// Its name as it is written above.
TAUT_API std::string_view name(ErrorKind kind);

struct ErrorDetails {
  ErrorKind kind = ErrorKind::server_error;
  std::string provider = {};
  std::string model = {};
  int http_status = 0;           // 0: there was no answer
  std::string vendor_type = {};  // the provider's own words, as far as it gave any
  std::string vendor_code = {};
  std::string message = {};  // without keys, at most 4 KiB
  std::string param = {};    // the parameter at fault
  std::string request_id = {};
  std::optional<double> retry_after = {};  // seconds, where the provider asked for a pause
  int attempts = 1;                        // requests that were sent for this call
  int64_t bytes_received = 0;
  bool partial_output = false;  // whether the caller has seen a part of an answer
};

/// A call to a provider that failed. Never holds a key.
class TAUT_API ProviderError : public Error {
 public:
  explicit ProviderError(ErrorDetails details);

  ErrorKind kind() const { return details_.kind; }
  const ErrorDetails& details() const { return details_; }

 private:
  ErrorDetails details_;
};

}  // namespace taut::ai
