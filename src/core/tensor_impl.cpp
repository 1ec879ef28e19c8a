#include "taut/core/tensor_impl.h"

#include <new>

#include "taut/base/pool.h"

namespace taut {

namespace {
detail::PythonObjectRelease python_object_release = nullptr;
}  // namespace

void detail::set_python_object_release(PythonObjectRelease release) {
  python_object_release = release;
}

TensorImpl::TensorImpl(Storage storage_in, const Layout& layout_in, DType dtype_in)
    : storage(std::move(storage_in)),
      layout(layout_in),
      numel(layout_in.numel()),
      dtype(dtype_in),
      is_contiguous(layout_in.is_contiguous()) {}

TensorImpl::~TensorImpl() {
  if (autograd != nullptr) autograd::destroy_meta(autograd);
}

Ref<TensorImpl> TensorImpl::make(Storage storage, const Layout& layout, DType dtype) {
  void* memory = detail::pool_allocate(sizeof(TensorImpl));
  return Ref<TensorImpl>::adopt(new (memory) TensorImpl(std::move(storage), layout, dtype));
}

void TensorImpl::set_layout(const Layout& new_layout) {
  layout = new_layout;
  numel = new_layout.numel();
  is_contiguous = new_layout.is_contiguous();
}

void TensorImpl::destroy() noexcept {
  if (TAUT_UNLIKELY(python_object != nullptr) && python_object_release(this)) return;
  this->~TensorImpl();
  detail::pool_free(this, sizeof(TensorImpl));
}

}  // namespace taut
