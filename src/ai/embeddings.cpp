#include "src/ai/embeddings.h"

#include <bit>
#include <cmath>
#include <utility>

#include "src/ai/base64.h"
#include "src/ai/refusal.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

/// Little-endian, whatever this machine is.
float float_at(const std::vector<uint8_t>& bytes, size_t at) {
  uint32_t bits = 0;
  for (size_t i = 4; i-- > 0;) bits = bits << 8 | bytes[at + i];
  return std::bit_cast<float>(bits);
}

std::vector<float> unpack(const ProviderConfig& config, const Json& json, PackedNumbers packing) {
  const auto bytes = base64_decode(json.string());
  const bool is_float = packing == PackedNumbers::float32;
  if (!bytes || (is_float && bytes->size() % 4 != 0)) {
    refuse_answer(config, "embeddings: a vector is not base64 of whole numbers");
  }
  std::vector<float> numbers;
  if (is_float) {
    numbers.reserve(bytes->size() / 4);
    for (size_t i = 0; i < bytes->size(); i += 4) numbers.push_back(float_at(*bytes, i));
  } else if (packing == PackedNumbers::int8) {
    numbers.reserve(bytes->size());
    for (const uint8_t byte : *bytes)
      numbers.push_back(static_cast<float>(std::bit_cast<int8_t>(byte)));
  } else {
    numbers.reserve(bytes->size() * 8);
    for (const uint8_t byte : *bytes) {
      for (int bit = 7; bit >= 0; --bit) numbers.push_back((byte >> bit & 1) != 0 ? 1.0f : -1.0f);
    }
  }
  return numbers;
}

}  // namespace

void check_embedding_request(const ProviderConfig& config, const EmbeddingRequest& request) {
  if (request.model.empty()) refuse_request(config, {}, "model", "model: it is empty");
  if (request.inputs.empty()) {
    refuse_request(config, request.model, "inputs", "inputs: there are none");
  }
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    if (!request.inputs[i].empty()) continue;
    refuse_request(config, request.model, "inputs", concat("inputs: number ", i, " is empty"));
  }
  if (request.dimensions && *request.dimensions < 1) {
    refuse_request(config, request.model, "dimensions",
                   concat("dimensions: there are too few; got ", *request.dimensions,
                          "; expected at least 1"));
  }
}

void check_embeddings(const ProviderConfig& config, const std::string& model,
                      const Capabilities& capabilities) {
  if (capabilities[Feature::embeddings] != Answer::no) return;
  refuse_request(config, model, "embeddings",
                 concat("embeddings: ", model, " of ", config.name, " gives none"),
                 ErrorKind::unsupported_parameter);
}

std::vector<float> embedding_of(const ProviderConfig& config, const Json& json,
                                PackedNumbers packing) {
  std::vector<float> numbers;
  if (json.is_string()) numbers = unpack(config, json, packing);
  if (json.is_array()) {
    numbers.reserve(json.size());
    for (const Json& number : json) {
      numbers.push_back(static_cast<float>(as<double>(number).value_or(NAN)));
    }
  }
  bool is_sound = !numbers.empty();
  for (const float number : numbers) is_sound = is_sound && std::isfinite(number);
  if (!is_sound) refuse_answer(config, "embeddings: a vector is not one of finite numbers");
  return numbers;
}

}  // namespace taut::ai
