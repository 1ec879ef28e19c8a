#pragma once
// What differs between the languages that providers speak: requests out, answers and events in. The
// rest (connections, retries, limits) is the same for all. A protocol keeps no state: one object
// serves every call of every thread.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/ai/http.h"
#include "src/ai/sse.h"
#include "taut/ai/client.h"

namespace taut::ai {

/// What a stream has told so far, put together.
class StreamAssembler {
 public:
  virtual ~StreamAssembler() = default;

  /// Takes in one event of the stream, and appends what it means for the reader. Throws
  /// ProviderError: malformed_response for what is not of the protocol, or what the provider
  /// reports.
  virtual void add(const SseEvent& event, std::vector<StreamEvent>& events) = 0;
  /// Whether the protocol's own end has come: nothing more need be read.
  virtual bool is_complete() const = 0;
  /// Called once when the connection has ended in good order without is_complete(). Whether that is
  /// an end that this protocol allows.
  virtual bool ends_here() = 0;
  /// The answer as far as it has come. Its usage is partial until the end.
  virtual const ChatResponse& response() const = 0;
  /// What add() will need: see Note [Fetching chains].
  virtual void fetch(int /*depth*/) const {}
};

/// A request that is ready to be sent, and what was left out of it.
struct BuiltRequest {
  HttpRequest http;
  std::vector<std::string> warnings;
};

/// A page of a list.
struct ModelPage {
  std::vector<ModelInfo> models;
  std::optional<HttpRequest> next;
};

class ProtocolHandler {
 public:
  virtual ~ProtocolHandler() = default;

  virtual KeyHeader key_header(const ProviderConfig& config) const = 0;
  /// What every request of this provider carries.
  virtual std::vector<Header> headers(const ProviderConfig& config) const = 0;

  /// What Taut knows of a model without asking.
  virtual Capabilities known_capabilities(const ProviderConfig& config,
                                          const std::string& model) const = 0;

  /// Throws ProviderError: unsupported_parameter for what the model lacks (where the request does
  /// not want it dropped), invalid_request for JSON text that is none and for numbers that are not
  /// finite.
  virtual BuiltRequest chat(const ProviderConfig& config, const ChatRequest& request,
                            const Capabilities& capabilities, bool is_stream) const = 0;
  virtual ChatResponse parse_chat(const ProviderConfig& config, const HttpAnswer& answer) const = 0;
  virtual std::unique_ptr<StreamAssembler> assembler(const ProviderConfig& config) const = 0;

  virtual BuiltRequest embed(const ProviderConfig& config, const EmbeddingRequest& request,
                             const Capabilities& capabilities) const = 0;
  virtual EmbeddingResponse parse_embeddings(const ProviderConfig& config,
                                             const EmbeddingRequest& request,
                                             const HttpAnswer& answer) const = 0;

  virtual HttpRequest models(const ProviderConfig& config) const = 0;
  virtual ModelPage parse_models(const ProviderConfig& config, const HttpAnswer& answer) const = 0;

  /// A batch is made by one request or by two: a file of its items first, where the provider wants
  /// one.
  virtual std::optional<HttpRequest> batch_upload(const ProviderConfig& config,
                                                  const BatchRequest& request) const = 0;
  virtual HttpRequest create_batch(const ProviderConfig& config, const BatchRequest& request,
                                   const HttpAnswer* upload) const = 0;
  virtual HttpRequest batch(const ProviderConfig& config, const std::string& id) const = 0;
  virtual HttpRequest cancel_batch(const ProviderConfig& config, const std::string& id) const = 0;
  virtual BatchStatus parse_batch(const ProviderConfig& config, const HttpAnswer& answer) const = 0;
  /// What has to be fetched for the results: one file or more, each of which is parsed alone.
  virtual std::vector<HttpRequest> batch_results(const ProviderConfig& config,
                                                 const BatchStatus& status) const = 0;
  /// Where results come in pages: the request of the one behind `page`, which was answered so.
  virtual std::optional<HttpRequest> batch_results_after(const ProviderConfig&,
                                                         const HttpRequest& /*page*/,
                                                         const HttpAnswer& /*answer*/) const {
    return std::nullopt;
  }
  virtual std::vector<BatchResult> parse_batch_results(const ProviderConfig& config,
                                                       const HttpAnswer& answer) const = 0;

  /// What an answer that is not 2xx means; also of one that claims to be and holds an error. Never
  /// throws: a body that makes no sense is told by its status. `retry_after` is the pause that the
  /// body asks for; the headers are read for all protocols alike.
  virtual ErrorDetails parse_error(const ProviderConfig& config,
                                   const HttpAnswer& answer) const = 0;
  /// Requests and tokens that the provider says are left, read from its headers.
  virtual std::string_view request_id_header() const = 0;
};

/// The one object of a protocol.
TAUT_API const ProtocolHandler& handler_of(Protocol protocol);

}  // namespace taut::ai
