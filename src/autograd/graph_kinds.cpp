#include "src/autograd/graph_kinds.h"

#include <algorithm>
#include <iterator>

namespace taut::autograd {
namespace {

// A kind that finds other gradients at each call is captured this often.
constexpr int64_t kMostCaptures = 3;

}  // namespace

GraphKind& GraphKinds::add(const std::string& signature) {
  if (std::ssize(kinds_) >= most_) {
    kinds_.erase(std::min_element(kinds_.begin(), kinds_.end(),
                                  [](const auto& a, const auto& b) { return a->used < b->used; }));
  }
  GraphKind& kind = *kinds_.emplace_back(std::make_unique<GraphKind>());
  kind.number = ++numbers_;
  kind.signature = signature;
  kind.warmup_left = warmup_;
  return kind;
}

GraphKind& GraphKinds::find(const std::string& signature) {
  int64_t misfits = 0;
  GraphKind* found = nullptr;
  for (const auto& kind : kinds_) {
    if (kind->signature != signature) continue;
    if (kind->stage != GraphKind::Stage::captured) {
      if (found == nullptr) found = kind.get();
    } else if (kind->grads.fit()) {
      found = kind.get();
      break;
    } else {
      ++misfits;
    }
  }
  if (found == nullptr) {
    found = &add(signature);
    // It has run before: only the gradients that it finds are others.
    if (misfits > 0) found->warmup_left = 0;
    if (misfits >= std::min(kMostCaptures, most_)) {
      found->stage = GraphKind::Stage::without_graph;
      found->reason =
          "gradients that it adds to or reads are other tensors at each call; clear them in it, or "
          "keep them with zero_grad(set_to_none=False)";
    }
  }
  found->used = ++calls_;
  return *found;
}

}  // namespace taut::autograd
