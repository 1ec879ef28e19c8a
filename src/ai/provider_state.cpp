#include "src/ai/provider_state.h"

#include <algorithm>
#include <optional>

#include "src/ai/overlay.h"
#include "src/ai/request_features.h"
#include "taut/base/check.h"
#include "taut/base/config.h"

namespace taut::ai {

namespace {

ProviderConfig checked(ProviderConfig config) {
  check_config(config);
  return config;
}

void put(std::vector<Header>& headers, std::string_view name, std::string_view value) {
  const std::string lower = lower_case(name);
  for (Header& header : headers) {
    if (lower_case(header.first) != lower) continue;
    header = {std::string(name), std::string(value)};
    return;
  }
  headers.emplace_back(name, value);
}

}  // namespace

Provider::State::State(std::shared_ptr<Client::Implementation> client, ProviderConfig config)
    : client_(std::move(client)),
      config_(checked(std::move(config))),
      handler_(client_->handler(config_.protocol)),
      base_(parse_base_url(config_.name, config_.base_url, config_.allows_http)),
      gate_(config_, client_->options().max_retry_after, client_->transport()) {
  for (const auto& [name, value] : config_.headers) {
    if (is_sensitive_header(lower_case(name))) client_->keys().add(value);
  }
}

Capabilities Provider::State::capabilities(const std::string& model) const {
  Capabilities known = handler_.known_capabilities(config_, model);
  for (const std::string_view name : {std::string_view(), std::string_view(model)}) {
    for (const auto& [of, capabilities] : config_.capabilities) {
      if (of == name) overlay(known, capabilities);
    }
    if (model.empty()) break;
  }
  const std::lock_guard lock(mutex_);
  const auto lacking = lacking_.find(model);
  if (lacking == lacking_.end()) return known;
  for (const Feature feature : lacking->second) known[feature] = Answer::no;
  return known;
}

bool Provider::State::learn(const std::string& model, const ErrorDetails& refusal) {
  if (refusal.kind != ErrorKind::unsupported_parameter) return false;
  const std::optional<Feature> feature = feature_of_parameter(refusal.param);
  if (!feature) return false;
  const std::lock_guard lock(mutex_);
  std::vector<Feature>& lacking = lacking_[model];
  if (std::find(lacking.begin(), lacking.end(), *feature) != lacking.end()) return false;
  lacking.push_back(*feature);
  return true;
}

std::shared_ptr<const KeyText> Provider::State::key() const {
  if (!config_.key) return nullptr;
  const auto refuse = [this](std::string message) {
    throw ProviderError(
        {.kind = ErrorKind::auth, .provider = config_.name, .message = std::move(message)});
  };
  const Secret::Source& source = *config_.key.source();
  std::shared_ptr<const KeyText> key;
  try {
    key = std::make_shared<const KeyText>(source.read());
  } catch (const std::exception&) {
    refuse("the source of the key failed");  // its words may hold a part of the key
  }
  if (key->empty()) refuse(concat("there is no key; got none, ", source.what_is_missing()));
  if (!is_header_value(key->view())) {
    refuse(concat("the key holds a control character; got ", key->view().size(), " bytes"));
  }
  client_->keys().add(key->view());
  return key;
}

std::vector<Header> Provider::State::headers(const HttpRequest& request) const {
  std::vector<Header> headers;
  put(headers, "User-Agent", "taut/" TAUT_VERSION);
  put(headers, "Accept", "application/json");
  if (request.method != "GET") put(headers, "Content-Type", request.content_type);
  for (const auto& [name, value] : handler_.headers(config_)) put(headers, name, value);
  for (const auto& [name, value] : config_.headers) put(headers, name, value);
  for (const auto& [name, value] : request.headers) put(headers, name, value);
  for (const auto& [name, value] : headers) {
    check_header(config_.name, name, value);
    if (is_sensitive_header(lower_case(name))) client_->keys().add(value);
  }
  return headers;
}

}  // namespace taut::ai
