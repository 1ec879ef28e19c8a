#include "taut/core/tensor_impl.h"

#include <new>
#include <utility>

#include "taut/base/check.h"
#include "taut/base/pool.h"

namespace taut {

namespace {
detail::PythonObjectRelease python_object_release = nullptr;

// For counts that overflowed or that no memory holds: 0 when a dim is empty, an error otherwise.
[[gnu::cold]] uint64_t count_of_huge(const Dims& shape, DType dtype) {
  for (int64_t size : shape) {
    if (size == 0) return 0;
  }
  detail::raise<OutOfMemoryError>("empty: a ", dtype, " tensor of shape ", shape,
                                  " is larger than any memory");
}
}  // namespace

void detail::set_python_object_release(PythonObjectRelease release) {
  python_object_release = release;
}

TensorImpl::TensorImpl(const Layout& layout_in, DType dtype_in)
    : layout(layout_in),
      numel(layout_in.numel()),
      dtype(dtype_in),
      is_contiguous(layout_in.is_contiguous()) {}

inline TensorImpl::TensorImpl(const Dims& shape, DType dtype_in)
    : dtype(dtype_in), is_contiguous(true) {
  layout.shape = shape;
  numel = layout.strides.set_contiguous(shape);
}

Ref<TensorImpl> TensorImpl::make(Storage storage, const Layout& layout, DType dtype) {
  void* memory = detail::pool_allocate(sizeof(TensorImpl));
  auto impl = Ref<TensorImpl>::adopt(new (memory) TensorImpl(layout, dtype));
  impl->storage = std::move(storage);
  return impl;
}

// `form` is a layout, or the shape of a contiguous tensor.
template <class Form>
inline Ref<TensorImpl> TensorImpl::make_counted(Device device, const Form& form, DType dtype,
                                                size_t bytes) {
  static_assert(sizeof(TensorImpl) <= kEmbeddedBytes);
  if (TAUT_LIKELY(device.is_cpu() && bytes - 1 < kSmallTensorBytes)) {
    SmallBlock block = make_small_block(bytes);
    auto* impl = new (block.embedded) TensorImpl(form, dtype);
    impl->is_embedded = true;
    impl->storage = std::move(block.storage);
    return Ref<TensorImpl>::adopt(impl);
  }
  Storage storage = make_storage(device, bytes);
  void* memory = detail::pool_allocate(sizeof(TensorImpl));
  auto impl = Ref<TensorImpl>::adopt(new (memory) TensorImpl(form, dtype));
  impl->storage = std::move(storage);
  return impl;
}

Ref<TensorImpl> TensorImpl::make_allocated(Device device, const Layout& layout, DType dtype,
                                           size_t bytes) {
  return make_counted(device, layout, dtype, bytes);
}

Ref<TensorImpl> TensorImpl::make_contiguous(Device device, const Dims& shape, DType dtype) {
  uint64_t count = 1;
  bool is_huge = false;
  for (int64_t size : shape) {
    is_huge |= __builtin_mul_overflow(count, static_cast<uint64_t>(size), &count);
  }
  // So many bytes could overflow, and seem to be few.
  if (TAUT_UNLIKELY(is_huge || count >> 47 != 0)) count = count_of_huge(shape, dtype);
  return make_counted(device, shape, dtype, count * item_size(dtype));
}

Ref<TensorImpl> TensorImpl::make_contiguous_like(const TensorImpl& model, DType dtype) {
  const size_t bytes = static_cast<size_t>(model.numel) * item_size(dtype);
  return make_counted(model.storage->device(), model.layout.shape, dtype, bytes);
}

// Makes a new TensorImpl a view of what `source` shows.
inline void TensorImpl::show(const Ref<TensorImpl>& source) {
  view_base = source->view_base ? source->view_base : source;
  is_inference = source->is_inference;
  if (TAUT_LIKELY(view_base->is_embedded && !view_base->home &&
                  source->storage == view_base->storage)) {
    storage = Storage::adopt(source->storage.get());
    borrows_storage = true;
  } else {
    storage = source->storage;
  }
}

Ref<TensorImpl> TensorImpl::make_view(const Ref<TensorImpl>& source, const Layout& layout) {
  void* memory = detail::pool_allocate(sizeof(TensorImpl));
  auto impl = Ref<TensorImpl>::adopt(new (memory) TensorImpl(layout, source->dtype));
  impl->show(source);
  return impl;
}

Ref<TensorImpl> TensorImpl::make_contiguous_view(const Ref<TensorImpl>& source, const Dims& shape) {
  void* memory = detail::pool_allocate(sizeof(TensorImpl));
  auto impl = Ref<TensorImpl>::adopt(new (memory) TensorImpl(shape, source->dtype));
  impl->layout.offset = source->layout.offset;
  impl->show(source);
  return impl;
}

void TensorImpl::set_layout(const Layout& new_layout) {
  layout = new_layout;
  numel = new_layout.numel();
  is_contiguous = new_layout.is_contiguous();
}

void TensorImpl::set_storage(Storage new_storage) {
  if (is_embedded && !home) home = std::move(storage);
  if (std::exchange(borrows_storage, false)) (void)storage.detach();
  storage = std::move(new_storage);
}

void TensorImpl::forget_base() {
  if (std::exchange(borrows_storage, false)) storage->retain();
  view_base.reset();
}

void TensorImpl::destroy() noexcept {
  if (TAUT_UNLIKELY(python_object != nullptr) && python_object_release(this)) return;
  if (autograd != nullptr) autograd::destroy_meta(autograd);
  if (is_embedded) {
    Storage block;  // kept until the last line of this has run
    if (TAUT_LIKELY(!home)) {
      block = std::move(storage);
    } else {
      block = std::move(home);
    }
    this->~TensorImpl();
    return;
  }
  if (borrows_storage) (void)storage.detach();
  this->~TensorImpl();
  detail::pool_free(this, sizeof(TensorImpl));
}

}  // namespace taut
