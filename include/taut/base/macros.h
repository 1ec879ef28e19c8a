#pragma once
// Visibility and small compiler hints. Every symbol that users link against carries TAUT_API.

#if defined(_WIN32)
#if defined(TAUT_BUILDING)
#define TAUT_API __declspec(dllexport)
#else
#define TAUT_API __declspec(dllimport)
#endif
#else
#define TAUT_API __attribute__((visibility("default")))
#endif

#define TAUT_LIKELY(x) __builtin_expect(!!(x), 1)
#define TAUT_UNLIKELY(x) __builtin_expect(!!(x), 0)

// For small functions of constants, which only then are worked out while compiling.
#if defined(_MSC_VER)
#define TAUT_ALWAYS_INLINE __forceinline
#else
#define TAUT_ALWAYS_INLINE inline __attribute__((always_inline))
#endif

// For the thread-local variables that every op reads: found at a fixed place in the thread's block
// instead of by a call. The block of a library loaded late is small, so these are pointers and
// flags.
#if defined(_WIN32)
#define TAUT_HOT_THREAD_LOCAL thread_local
#else
#define TAUT_HOT_THREAD_LOCAL __attribute__((tls_model("initial-exec"))) thread_local
#endif

// Marks a functor that the CPU and the CUDA kernels share.
#if defined(__CUDACC__)
#define TAUT_HD __host__ __device__
#else
#define TAUT_HD
#endif
