#pragma once
// From a scan to its launches: which kernel, and whether in chunks.

#include "kernels/api/scan.h"
#include "kernels/scan/scan_kernels_cuda.cuh"

namespace taut::kernels::cuda {

template <class S>
class ScanLaunch {
 public:
  using State = typename S::State;

  ScanLaunch(const char* op, const ScanLayout& layout, const S& scanner)
      : op_(op), layout_(layout), scanner_(scanner) {}

  void run() {
    if (layout_.outer * layout_.dim * layout_.inner == 0) return;
    if (layout_.inner > 1) return run_columns();
    // Rows that leave most of a tile empty.
    if (layout_.dim <= kScanTile<S> / 4) return run_short_rows();
    run_rows();
  }

 private:
  void run_short_rows() {
    int group = 1;
    while (group < kWarp && group < layout_.dim) group *= 2;
    const int64_t blocks = ceil_divide(layout_.outer, kThreads / group);
    launch_kernel(scan_short_rows_kernel<S>, {grid(blocks), kThreads}, scanner_, layout_, group);
    check_launch(op_);
  }

  void run_rows() {
    const int64_t tiles = ceil_divide(layout_.dim, kScanTile<S>);
    cut(tiles, kScanTile<S>, int64_t{4} * multiprocessors() / layout_.outer);
    in_chunks(layout_.outer, [&](State* states, bool writes) {
      const unsigned blocks = grid(layout_.outer * layout_.chunks);
      if (writes) {
        launch_kernel(scan_chunks_kernel<S, true>, {blocks, kThreads}, scanner_, layout_, states);
      } else {
        launch_kernel(scan_chunks_kernel<S, false>, {blocks, kThreads}, scanner_, layout_, states);
      }
    });
  }

  void run_columns() {
    constexpr int64_t kLeast = 32;  // elements of a chunk
    const int64_t columns = layout_.outer * layout_.inner;
    const int64_t threads = int64_t{1024} * multiprocessors();
    cut(ceil_divide(layout_.dim, kLeast), kLeast, threads / columns);
    in_chunks(columns, [&](State* states, bool writes) {
      const unsigned blocks = blocks_for(columns * layout_.chunks);
      if (writes) {
        launch_kernel(scan_columns_kernel<S, true>, {blocks, kThreads}, scanner_, layout_, states);
      } else {
        launch_kernel(scan_columns_kernel<S, false>, {blocks, kThreads}, scanner_, layout_, states);
      }
    });
  }

  // Cuts the dim, `pieces` of the given size, into about `wanted` chunks. Two are not worth the
  // second pass over the input.
  void cut(int64_t pieces, int64_t size, int64_t wanted) {
    if (wanted < 3 || pieces < 3) {
      layout_.chunk = layout_.dim;
      layout_.chunks = 1;
      return;
    }
    layout_.chunk = ceil_divide(pieces, wanted) * size;
    layout_.chunks = ceil_divide(layout_.dim, layout_.chunk);
  }

  template <class Launch>
  void in_chunks(int64_t rows, const Launch& launch) {
    if (layout_.chunks == 1) {
      launch(nullptr, true);
      check_launch(op_);
      return;
    }
    const taut::cuda::Scratch states(static_cast<size_t>(rows * layout_.chunks) * sizeof(State));
    launch(states.as<State>(), false);
    check_launch(op_);
    launch_kernel(scan_totals_kernel<S>, {grid(rows), kThreads}, scanner_, rows, layout_.chunks,
                  states.as<State>());
    check_launch(op_);
    launch(states.as<State>(), true);
    check_launch(op_);
  }

  static unsigned grid(int64_t blocks) {
    return static_cast<unsigned>(blocks < kMaxBlocks ? blocks : kMaxBlocks);
  }

  const char* op_;
  ScanLayout layout_;
  S scanner_;
};

template <class S>
void run_scan(const char* op, const ScanArgs& args, const S& scanner) {
  const ScanLayout layout{args.outer, args.dim, args.inner, args.is_reversed, args.dim, 1};
  ScanLaunch<S>(op, layout, scanner).run();
}

template <class S>
void run_scan(const char* op, const IndexScanArgs& args, const S& scanner) {
  const ScanLayout layout{args.outer, args.dim, args.inner, false, args.dim, 1};
  ScanLaunch<S>(op, layout, scanner).run();
}

/// Calls body(TypeTag<T>) with the type of any dtype; bool is read as the bytes that it is.
template <class Body>
void visit_scanned(const char* op, DType dtype, const Body& body) {
  visit_numeric(op, dtype == DType::bool_ ? DType::uint8 : dtype, body);
}

}  // namespace taut::kernels::cuda
