// Runs one small op a given number of times, to be counted by callgrind; benchmarks/instructions.py
// calls it:  instructions CASE COUNT

#include <benchmark/benchmark.h>
#include <taut/taut.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

using taut::Tensor;

template <class Op>
void repeat(long count, Op op) {
  for (long i = 0; i < count; ++i) benchmark::DoNotOptimize(op());
}

struct Case {
  const char* name;
  void (*run)(long count);
};

const Case kCases[] = {
    {"add_1",
     [](long count) {
       const Tensor a = taut::ones({1}), b = taut::ones({1});
       repeat(count, [&] { return a + b; });
     }},
    {"add_64",
     [](long count) {
       const Tensor a = taut::ones({64}), b = taut::ones({64});
       repeat(count, [&] { return a + b; });
     }},
    {"add_with_graph",
     [](long count) {
       const Tensor a = taut::ones({1}).requires_grad_(), b = taut::ones({1});
       repeat(count, [&] { return a + b; });
     }},
    {"mul_with_graph",
     [](long count) {
       const Tensor a = taut::ones({1}).requires_grad_(), b = taut::ones({1});
       repeat(count, [&] { return a * b; });
     }},
    {"add_number",
     [](long count) {
       const Tensor a = taut::ones({1});
       repeat(count, [&] { return a + 1.0; });
     }},
    {"view",
     [](long count) {
       const Tensor a = taut::ones({4, 16});
       repeat(count, [&] { return a.view({16, 4}); });
     }},
    {"empty", [](long count) { repeat(count, [] { return taut::empty({1}); }); }},
    // 100 ops forward and backward count as one.
    {"chain_100",
     [](long count) {
       const Tensor x = taut::ones({1}).requires_grad_(), factor = taut::full({1}, 1.01);
       repeat(count, [&] {
         Tensor y = x;
         for (int i = 0; i < 100; ++i) y = i % 2 == 0 ? y * factor : y + factor;
         y.backward();
         x.set_grad(Tensor());
         return y;
       });
     }},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3) {
    for (const Case& entry : kCases) {
      if (std::strcmp(entry.name, argv[1]) != 0) continue;
      entry.run(std::atol(argv[2]));
      return 0;
    }
  }
  std::printf("usage: %s CASE COUNT, where CASE is one of:", argv[0]);
  for (const Case& entry : kCases) std::printf(" %s", entry.name);
  std::printf("\nbenchmarks/instructions.py runs each under callgrind\n");
  return argc == 1 ? 0 : 2;
}
