#pragma once
// Options of the example programs: what sets a field from the word after its name.
//   const std::map<std::string, Setter> setters = {{"--steps", into(options.steps)}};

#include <taut/base/callback.h>

#include <cstdint>
#include <cstdlib>
#include <string>

using Setter = taut::Callback<void(const char*)>;

inline Setter into(int& field) {
  return [&field](const char* text) { field = std::atoi(text); };
}
inline Setter into(int64_t& field) {
  return [&field](const char* text) { field = std::atoll(text); };
}
inline Setter into(uint64_t& field) {
  return [&field](const char* text) { field = std::strtoull(text, nullptr, 10); };
}
inline Setter into(double& field) {
  return [&field](const char* text) { field = std::atof(text); };
}
inline Setter into(std::string& field) {
  return [&field](const char* text) { field = text; };
}
