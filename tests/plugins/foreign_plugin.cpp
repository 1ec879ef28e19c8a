// A library that knows nothing of Taut. None of its code may run.

#include <cstdlib>

namespace {
[[maybe_unused]] const bool was_run = (std::abort(), true);
}
