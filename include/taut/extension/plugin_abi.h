#pragma once
// The mark that a plugin carries in its data, so that load_library can tell without running any of
// its code whether it fits. Every file that includes custom_op.h holds it.

#include "taut/base/config.h"

#define TAUT_PLUGIN_TEXT_OF(number) #number
#define TAUT_PLUGIN_TEXT(number) TAUT_PLUGIN_TEXT_OF(number)
#ifdef _GLIBCXX_USE_CXX11_ABI
#define TAUT_PLUGIN_STRING_ABI TAUT_PLUGIN_TEXT(_GLIBCXX_USE_CXX11_ABI)
#else
#define TAUT_PLUGIN_STRING_ABI "-"
#endif

namespace taut::detail {

/// Before 1.0 a minor version may change the interface; so may the standard library's strings.
[[gnu::used, gnu::visibility("default")]] inline constexpr char kPluginAbi[] =
    "TAUT_PLUGIN_ABI=" TAUT_PLUGIN_TEXT(TAUT_VERSION_MAJOR) "." TAUT_PLUGIN_TEXT(
        TAUT_VERSION_MINOR) ", cxx11 strings " TAUT_PLUGIN_STRING_ABI ";";

}  // namespace taut::detail

#undef TAUT_PLUGIN_STRING_ABI
#undef TAUT_PLUGIN_TEXT
#undef TAUT_PLUGIN_TEXT_OF
