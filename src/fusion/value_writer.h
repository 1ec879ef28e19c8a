#pragma once
// How generated kernels compute values: the loads, functors and choices that a node of the graph
// becomes at an index.
//
// Note [Levels]
// A value is written where it changes: once for a row, once for a pack of neighbouring columns that
// a thread loads at once, or for each element of the pack. Values above the elements are written
// once for a loop over the row; those of rows once for all loops.
//
// Note [Rows in registers]
// What a kernel loads of a row it loads before the first reduction, as packs that lie in memory as
// in registers, and every phase after a reduction computes from there. The compiler sees all
// phases unrolled and keeps what is costly to compute again. Rows too long for registers are read
// again in each phase, from the second cache at best.
//
// Note [Rows in shared memory]
// A team that goes from row to row, and keeps sums in registers, has two rows in shared memory: one
// that it computes with and the next, on its way. A thread copies what it alone will read, so that
// it waits for its own copies only; phases read their packs from there, which leaves registers for
// more blocks. Where packs are too small for such copies, or rows too long, the next row waits in
// registers.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/fusion/codegen.h"
#include "src/fusion/graph.h"
#include "src/fusion/index.h"
#include "src/fusion/schedule.h"

namespace taut::fusion {

inline constexpr int kPackBytes = 16;

/// The type of a dtype's elements in memory, of its values, and in which functors compute.
const char* memory_type(DType dtype);
const char* value_type(DType dtype);
const char* compute_type(DType dtype);

enum class Level : uint8_t { row, pack, element };

/// The name of a value in the generated text, and the dtype that it is held in.
struct Value {
  std::string text;
  Level level = Level::row;
  DType dtype = DType::float32;
};

/// The body of a loop over columns.
struct Scope {
  std::string loads;     // once for a pack
  std::string elements;  // for each element of it
  std::string stores;    // after the elements
  std::map<std::string, Value> values;
  std::map<std::string, std::string> packs;
};

/// How a kernel's threads take its rows and columns.
struct Shape {
  int pack = 1;   // columns that a thread takes at once
  int team = 32;  // threads to a row
  int threads = 256;
  int packs = 1;            // of a thread and row
  bool kept = true;         // see Note [Rows in registers]
  bool ahead = false;       // loads the next row before it computes
  bool staged = false;      // see Note [Rows in shared memory]
  bool is_chunked = false;  // blocks share the columns: blockIdx.y counts the chunks
};

class ValueWriter {
 protected:
  ValueWriter(const Graph& graph, const Schedule& schedule, const std::vector<int>& alignments)
      : graph_(graph), schedule_(schedule), alignments_(alignments) {}

  void begin();

  struct Access {
    DType dtype;
    Index address;
    int alignment;
    int pointer;
    std::string guard;
    bool is_load;
  };
  /// The position of a pointer among the kernel's.
  int pointer(Pointer::Kind kind, int index);
  int pointer_of_leaf(int argument);
  int alignment_of(const Node& leaf) const;
  /// Whether an index changes along a row, and from row to row.
  bool varies(const Index& index) const;
  bool has_rows(const Index& index) const;
  bool has_quotient_of_columns(const Index& index) const;
  /// The columns that are alike for an index, and how it steps along them.
  struct Lane {
    int64_t columns = 1;
    int64_t factor = 0;
  };
  Lane lane_of(const Index& index) const;
  /// Whether all but the step along the lane is a multiple of `unit`.
  bool is_multiple(const Index& index, int64_t unit) const;
  bool is_pack(const Access& access) const;
  std::string name(const char* letter);
  static std::string key_of(NodeId id, const std::vector<Index>& at, const std::string& guard);
  Value declare(Scope& scope, Level level, DType dtype, const std::string& expression);
  Value value_of(NodeId id, const std::vector<Index>& at, const std::string& guard, Scope& scope);
  Value make_value(NodeId id, const std::vector<Index>& at, const std::string& guard, Scope& scope);
  Value input_value(const Node& node, size_t input, const std::vector<Index>& at,
                    const std::string& guard, Scope& scope);
  static std::string cast_text(const Value& value, DType dtype);
  Value functor(const Node& node, const std::vector<Index>& at, const std::string& guard,
                Scope& scope);
  static std::string both(const std::string& guard, const std::string& condition);
  /// index < bound, with the constant on the right, where it cannot wrap.
  std::string is_below(const Index& index, int64_t bound);
  Level level_of(const Index& index) const;
  Value joined(const Node& node, const std::vector<Index>& at, const std::string& guard,
               Scope& scope);
  std::vector<int64_t>& condition_of(const Index& index);
  Value overlaid(const Node& node, const std::vector<Index>& at, const std::string& guard,
                 Scope& scope);
  Value load(const Node& node, const std::vector<Index>& at, const std::string& guard,
             Scope& scope);
  /// The name of a loaded pack.
  std::string pack_of(const Node& node, const std::string& from, const Index& address,
                      const std::string& guard, Scope& scope);
  /// The same, of a pack that a scope has for itself.
  std::string scope_pack(Scope& scope, const std::string& key, const std::string& type,
                         const std::string& guard, const std::string& value);
  /// The phases, or the finish's own sums, came before.
  Value reduced(NodeId id);

  const Graph& graph_;
  const Schedule& schedule_;
  const std::vector<int>& alignments_;
  Shape shape_;
  /// Whether the walk only notes accesses and conditions.
  bool is_dry_ = false;
  /// Whether the reduce nodes that are met are sums of the finish.
  bool finish_sums_ = false;
  int names_ = 0;
  Variables variables_;
  std::vector<Pointer> pointers_;
  std::vector<Access> accesses_;
  std::vector<std::pair<Index, std::vector<int64_t>>> conditions_;  // an index and its bounds
  std::map<NodeId, std::string> results_;                           // of reductions
  std::map<std::string, Value> row_values_;
  /// A pack that is loaded before the first reduction.
  struct KeptPack {
    std::string name, type, guard;
    std::string place;  // a pointer to it
    int bytes;
    bool of_row;  // differs between rows
  };
  bool is_staged(const KeptPack& pack) const { return shape_.staged && pack.of_row; }
  std::vector<KeptPack> kept_;
  std::map<std::string, size_t> kept_names_;
  std::string row_text_;
  std::set<kernels::Pointwise> ops_;
};

}  // namespace taut::fusion
