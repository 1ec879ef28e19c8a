#include "src/ai/libcurl_memory.h"

#include <curl/curl.h>
#include <malloc.h>

#include <cstdlib>
#include <cstring>

#include "src/ai/key_text.h"
#include "taut/base/check.h"

namespace taut::ai {

namespace {

void wipe_and_free(void* memory) {
  if (memory == nullptr) return;
  wipe(memory, malloc_usable_size(memory));
  std::free(memory);
}

/// Never in place: realloc would leave the old bytes behind where it moves them.
void* reallocate(void* memory, size_t bytes) {
  void* const other = std::malloc(bytes);
  if (other == nullptr || memory == nullptr) return other;
  const size_t old_bytes = malloc_usable_size(memory);
  std::memcpy(other, memory, old_bytes < bytes ? old_bytes : bytes);
  wipe_and_free(memory);
  return other;
}

}  // namespace

void start_libcurl() {
  static const CURLcode code = curl_global_init_mem(CURL_GLOBAL_DEFAULT, std::malloc, wipe_and_free,
                                                    reallocate, ::strdup, std::calloc);
  if (code != CURLE_OK)
    throw IoError(concat("client: libcurl does not start; got ", curl_easy_strerror(code)));
}

}  // namespace taut::ai
