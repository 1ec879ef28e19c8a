#include "taut/io/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>

#include "src/io/files.h"
#include "src/io/json.h"
#include "taut/base/check.h"

namespace taut {
namespace {

using io::Json;

constexpr uint64_t kMaxHeader = 100'000'000;
constexpr size_t kAlignment = 8;  // of the elements within the file

struct DTypeName {
  std::string_view name;
  DType dtype;
};
constexpr DTypeName kDTypeNames[] = {
    {"F64", kFloat64}, {"F32", kFloat32}, {"F16", kFloat16}, {"BF16", kBFloat16}, {"I64", kInt64},
    {"I32", kInt32},   {"I16", kInt16},   {"I8", kInt8},     {"U8", kUInt8},      {"BOOL", kBool},
};

std::string_view name_in_file(DType dtype) {
  for (const DTypeName& entry : kDTypeNames) {
    if (entry.dtype == dtype) return entry.name;
  }
  return {};
}

// Saving -----------------------------------------------------------------------------------------

// A tensor, and where its elements will lie.
struct Placed {
  const StateDict::Entry* entry;
  uint64_t begin = 0;
};

// Wide elements lie first, so that all are aligned whatever their sizes; the header keeps the order
// of the names.
std::vector<Placed> place(const StateDict& tensors) {
  std::vector<Placed> placed;
  for (const StateDict::Entry& entry : tensors) placed.push_back({&entry});
  std::stable_sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return a.entry->second.element_size() > b.entry->second.element_size();
  });
  uint64_t offset = 0;
  for (Placed& tensor : placed) {
    tensor.begin = offset;
    offset += tensor.entry->second.nbytes();
  }
  return placed;
}

std::string header_of(std::vector<Placed> tensors, const Metadata& metadata) {
  // Entries of a StateDict lie in one array: their addresses tell their order.
  std::sort(tensors.begin(), tensors.end(),
            [](const Placed& a, const Placed& b) { return a.entry < b.entry; });
  std::string header = "{";
  if (!metadata.empty()) {
    header += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      header +=
          concat(header.back() == '{' ? "" : ",", io::quote_json(key), ":", io::quote_json(value));
    }
    header += '}';
  }
  for (const Placed& placed : tensors) {
    const auto& [name, tensor] = *placed.entry;
    std::string shape;
    for (int64_t size : tensor.shape()) shape += concat(shape.empty() ? "" : ",", size);
    header += concat(header.size() > 1 ? "," : "", io::quote_json(name), ":{\"dtype\":\"",
                     name_in_file(tensor.dtype()), "\",\"shape\":[", shape, "],\"data_offsets\":[",
                     placed.begin, ",", placed.begin + tensor.nbytes(), "]}");
  }
  header += '}';
  // Spaces bring the elements to an aligned place.
  header.resize((header.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  return header;
}

// Loading ----------------------------------------------------------------------------------------

// Where a tensor lies, as the header says.
struct Entry {
  std::string name;
  DType dtype = kFloat32;
  Dims shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

class Header {
 public:
  Header(const char* data, size_t size, const std::string& path) : what_("load: " + path) {
    require(size >= 8, "is too short to be a safetensors file");
    require(
        std::string_view(data, 4) != "PK\3\4",
        "is a zip archive, as torch.save writes; Taut reads no pickles: convert it in PyTorch with "
        "safetensors.torch.save_file");
    uint64_t length = 0;
    for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<unsigned char>(data[i]);
    require(length <= kMaxHeader,
            concat("has a header of ", length, " bytes; at most ", kMaxHeader));
    require(length <= size - 8, concat("has a header of ", length, " bytes in a file of ", size));
    require(length > 0 && data[8] == '{', "has a header that does not begin with {");
    start_ = 8 + static_cast<size_t>(length);
    read(io::parse_json({data + 8, static_cast<size_t>(length)}, what_ + " has a bad header",
                        /*max_depth=*/4, /*max_items=*/static_cast<size_t>(kMaxRank) + 1),
         size - start_);
  }

  const std::vector<Entry>& entries() const { return entries_; }
  Metadata& metadata() { return metadata_; }
  /// Where the elements begin.
  size_t start() const { return start_; }

 private:
  void require(bool condition, std::string_view problem) const {
    TAUT_CHECK(condition, FormatError, what_, " ", problem);
  }

  void read(const Json& header, uint64_t data_bytes) {
    for (const auto& [name, value] : header.members) {
      if (name == "__metadata__") {
        read_metadata(value);
      } else {
        entries_.push_back(read_entry(name, value));
      }
    }
    // In the order of their bytes, the tensors leave no byte out and share none.
    std::vector<const Entry*> ordered;
    for (const Entry& entry : entries_) ordered.push_back(&entry);
    std::stable_sort(ordered.begin(), ordered.end(), [](const Entry* a, const Entry* b) {
      return a->begin != b->begin ? a->begin < b->begin : a->end < b->end;
    });
    uint64_t end = 0;
    for (const Entry* entry : ordered) {
      require(entry->begin == end, concat("has tensor \"", entry->name, "\" from byte ",
                                          entry->begin, "; expected ", end));
      end = entry->end;
    }
    require(end == data_bytes,
            concat("has tensors of ", end, " bytes and ", data_bytes, " bytes of data"));
  }

  void read_metadata(const Json& value) {
    require(value.kind == Json::Kind::object, "has a __metadata__ that is no object");
    for (const auto& [key, text] : value.members) {
      require(text.kind == Json::Kind::string,
              concat("has metadata \"", key, "\" that is no string"));
      metadata_.emplace(key, text.string);
    }
  }

  Entry read_entry(const std::string& name, const Json& value) const {
    const auto check = [&](bool condition, std::string_view problem) {
      TAUT_CHECK(condition, FormatError, what_, ": tensor \"", name, "\" ", problem);
    };
    check(value.kind == Json::Kind::object && value.members.size() == 3,
          "is not described by dtype, shape and data_offsets");
    const Json* dtype = value.find("dtype");
    const Json* shape = value.find("shape");
    const Json* offsets = value.find("data_offsets");
    check(dtype != nullptr && shape != nullptr && offsets != nullptr,
          "is not described by dtype, shape and data_offsets");

    Entry entry;
    entry.name = name;
    check(dtype->kind == Json::Kind::string, "has a dtype that is no string");
    const auto known = std::find_if(std::begin(kDTypeNames), std::end(kDTypeNames),
                                    [&](const DTypeName& d) { return d.name == dtype->string; });
    check(known != std::end(kDTypeNames), concat("has the unknown dtype \"", dtype->string, "\""));
    entry.dtype = known->dtype;

    check(shape->kind == Json::Kind::array, "has a shape that is no list");
    check(shape->items.size() <= static_cast<size_t>(kMaxRank),
          concat("has ", shape->items.size(), " dims; at most ", kMaxRank));
    uint64_t bytes = item_size(entry.dtype);
    bool is_empty = false;
    for (const Json& size : shape->items) {
      check(size.kind == Json::Kind::integer, "has a size that is no number of elements");
      // A 0 among the sizes does not excuse the others: strides are products of them.
      check(!__builtin_mul_overflow(bytes, std::max<uint64_t>(size.integer, 1), &bytes) &&
                bytes <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()),
            "has sizes whose product is too large");
      entry.shape.push_back(static_cast<int64_t>(size.integer));
      is_empty |= size.integer == 0;
    }
    if (is_empty) bytes = 0;

    check(offsets->kind == Json::Kind::array && offsets->items.size() == 2 &&
              offsets->items[0].kind == Json::Kind::integer &&
              offsets->items[1].kind == Json::Kind::integer,
          "has data_offsets that are no two numbers");
    entry.begin = offsets->items[0].integer;
    entry.end = offsets->items[1].integer;
    check(entry.begin <= entry.end, "ends before it begins");
    check(entry.end - entry.begin == bytes,
          concat("has ", entry.end - entry.begin, " bytes; expected ", bytes, " for ",
                 name_in_file(entry.dtype), " of shape ", entry.shape));
    return entry;
  }

  std::string what_;
  std::vector<Entry> entries_;
  Metadata metadata_;
  size_t start_ = 0;
};

using Mapping = std::shared_ptr<io::MappedFile>;

void release_mapping(void*, size_t, void* context) noexcept {
  delete static_cast<Mapping*>(context);
}

Tensor make_tensor(const Mapping& file, size_t start, const Entry& entry) {
  const auto bytes = static_cast<size_t>(entry.end - entry.begin);
  char* first = file->data() + start + entry.begin;
  const Layout layout = Layout::contiguous(entry.shape);
  if (entry.dtype == kBool) {
    // A byte that is neither 0 nor 1 is no bool. The mapping is private, so that it can be set
    // right.
    for (char* byte = first; byte != first + bytes; ++byte) {
      if ((*byte & ~1) != 0) *byte = 1;
    }
  }
  if (bytes > 0 && reinterpret_cast<uintptr_t>(first) % item_size(entry.dtype) == 0) {
    const Block block{first, bytes, release_mapping, new Mapping(file)};
    return Tensor(TensorImpl::make(make_storage(kCPU, block), layout, entry.dtype));
  }
  // Elements at an odd place, which not every kernel can read, are copied.
  const Storage storage = make_storage(kCPU, bytes);
  if (bytes > 0) std::memcpy(storage->data(), first, bytes);
  return Tensor(TensorImpl::make(storage, layout, entry.dtype));
}

}  // namespace

void save(const StateDict& tensors, const std::string& path, const Metadata& metadata) {
  for (const auto& [name, tensor] : tensors) {
    TAUT_CHECK(tensor.defined(), ValueError, "save: tensor \"", name, "\" is undefined");
    TAUT_CHECK(name != "__metadata__", ValueError, "save: a tensor cannot be named __metadata__");
  }
  const std::vector<Placed> placed = place(tensors);
  const std::string header = header_of(placed, metadata);
  TAUT_CHECK(header.size() <= kMaxHeader, ValueError, "save: the header has ", header.size(),
             " bytes; at most ", kMaxHeader);
  io::AtomicFile file(path);
  unsigned char length[8];
  for (int i = 0; i < 8; ++i) length[i] = static_cast<unsigned char>(header.size() >> (8 * i));
  file.write(length, sizeof(length));
  file.write(header.data(), header.size());
  for (const Placed& tensor : placed) {
    const Tensor dense = tensor.entry->second.detach().cpu().contiguous();
    if (dense.nbytes() > 0) file.write(dense.data_ptr(), dense.nbytes());
  }
  file.commit();
}

StateDict load(const std::string& path, Metadata& metadata) {
  const auto file = std::make_shared<io::MappedFile>(path);
  Header header(file->data(), file->size(), path);
  StateDict tensors;
  for (const Entry& entry : header.entries()) {
    tensors.insert(entry.name, make_tensor(file, header.start(), entry));
  }
  metadata = std::move(header.metadata());
  return tensors;
}

StateDict load(const std::string& path) {
  Metadata metadata;
  return load(path, metadata);
}

}  // namespace taut
