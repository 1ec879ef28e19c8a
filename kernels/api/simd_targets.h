#pragma once
// The instruction sets that the CPU kernels are built for: SSE4 (the least that Taut runs on), AVX2
// and AVX-512. Include before any header of Highway; see Note [One build, three instruction sets].
//
// Note [One build, three instruction sets]
// Every kernels/<family>/<stem>_cpu.cpp is included by Highway's foreach_target.h once for each
// instruction set, in a namespace of its own, and exports one function that returns its family's
// table of kernels. The set is chosen once, when the table of the CPU is first asked for. Code in
// such a file stands inside HWY_NAMESPACE; what must exist once stands under `#if HWY_ONCE`.

#if defined(TAUT_ONE_TARGET)
#define HWY_COMPILE_ONLY_STATIC
#endif

// The AVX-512 flavours beyond the first (bits 4 to 7 of Highway's target mask) gain these kernels
// nothing and would double their compile time. What lies under SSE4 falls away with the -msse4.2
// -maes -mpclmul that kernel files are compiled with.
#define HWY_DISABLED_TARGETS 0xF0
