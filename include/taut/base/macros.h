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

// Marks a functor that the CPU and the CUDA kernels share.
#if defined(__CUDACC__)
#define TAUT_HD __host__ __device__
#else
#define TAUT_HD
#endif
