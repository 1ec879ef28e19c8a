// The mark of another version, as a plugin that was built for it carries. None of its code may run.

#include <cstdlib>

[[gnu::used]] extern const char mark[] = "TAUT_PLUGIN_ABI=0.0, cxx11 strings 1;";

namespace {
[[maybe_unused]] const bool was_run = (std::abort(), true);
}
