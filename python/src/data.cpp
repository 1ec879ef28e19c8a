// Datasets, samplers and the data loader.
//
// The loader of C++ moves lists of tensors. A dataset written in Python may give anything, so that
// a batch of its samples crosses the loader as one tensor whose memory is the Python object; it
// holds a reference to it and is never looked into.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>
#include <set>
#include <thread>

#include "bindings.h"
#include "module_binding.h"
#include "py_ref.h"
#include "taut/data/dataloader.h"
#include "taut/ops/creation.h"

namespace py = pybind11;
using namespace py::literals;

namespace taut::python {
namespace {

using data::BatchSampler;
using data::DataLoader;
using data::Dataset;
using data::Indices;
using data::Sampler;

// Python objects as tensors ----------------------------------------------------------------------

void drop_object(void* object, size_t, void*) noexcept {
  if (Py_IsInitialized() == 0) return;
  const Locked locked;
  Py_DECREF(static_cast<PyObject*>(object));
}

Tensor carrier_of(py::object object) {
  return from_blob(object.release().ptr(), {1}, TensorOptions(kUInt8), std::nullopt, drop_object);
}

py::object carried_by(const Tensor& carrier) {
  return py::reinterpret_borrow<py::object>(static_cast<PyObject*>(carrier.storage()->data()));
}

// What Python brings -----------------------------------------------------------------------------

/// Whether this thread is a worker of a loader.
thread_local bool is_worker = false;

/// Whether the interpreter is about to end; nobody new may enter it then.
std::atomic<bool> is_ending{false};

/// Keeps the interpreter's record of a thread that C++ made until the thread ends, so that locking
/// is cheap and Python's thread-local variables last from batch to batch.
class ThreadRecord {
 public:
  ThreadRecord() : is_foreign_(PyGILState_GetThisThreadState() == nullptr) {
    if (!is_foreign_) return;
    is_worker = true;
    state_ = PyGILState_Ensure();
    saved_ = PyEval_SaveThread();
  }
  ThreadRecord(const ThreadRecord&) = delete;
  ThreadRecord& operator=(const ThreadRecord&) = delete;
  ~ThreadRecord() {
    if (!is_foreign_ || Py_IsInitialized() == 0) return;
    PyEval_RestoreThread(saved_);
    PyGILState_Release(state_);
  }

 private:
  bool is_foreign_;
  PyGILState_STATE state_{};
  PyThreadState* saved_ = nullptr;
};

py::list list_of(std::span<const int64_t> indices) {
  py::list list(indices.size());
  for (size_t i = 0; i < indices.size(); ++i) list[i] = py::int_(indices[i]);
  return list;
}

/// A dataset whose batches a Python function makes of lists of indices.
class PythonDataset final : public Dataset {
 public:
  PythonDataset(int64_t size, const py::object& fetch) : size_(size), fetch_(fetch) {}
  int64_t size() const override { return size_; }
  Tensors get(int64_t index) override { return get_batch(std::span(&index, 1)); }
  Tensors get_batch(std::span<const int64_t> indices) override {
    TAUT_CHECK(!is_ending.load(), Error, "DataLoader: the interpreter is ending");
    const thread_local ThreadRecord record;
    const Locked locked;
    return {carrier_of(fetch_.get()(list_of(indices)))};
  }
  bool has_get_batch() const override { return true; }

 private:
  int64_t size_;
  PyRef fetch_;
};

/// Any Python object that can be iterated over and has a length.
class PythonSampler final : public Sampler {
 public:
  explicit PythonSampler(const py::object& sampler) : sampler_(sampler) {}
  int64_t size() const override {
    const Locked locked;
    return static_cast<int64_t>(py::len(sampler_.get()));
  }
  Indices epoch() override {
    const Locked locked;
    Indices indices;
    for (py::handle index : sampler_.get()) indices.push_back(index.cast<int64_t>());
    return indices;
  }

 private:
  PyRef sampler_;
};

class PythonBatchSampler final : public BatchSampler {
 public:
  explicit PythonBatchSampler(const py::object& sampler) : sampler_(sampler) {}
  int64_t size() const override {
    const Locked locked;
    return static_cast<int64_t>(py::len(sampler_.get()));
  }
  std::vector<Indices> epoch() override {
    const Locked locked;
    std::vector<Indices> batches;
    for (py::handle batch : sampler_.get()) {
      Indices& indices = batches.emplace_back();
      for (py::handle index : batch) indices.push_back(index.cast<int64_t>());
    }
    return batches;
  }

 private:
  PyRef sampler_;
};

/// For an argument `generator`: null for None and for the default generator.
std::shared_ptr<Generator> shared_generator(const py::object& object) {
  if (object.is_none() || object.cast<Generator*>() == &default_generator()) return nullptr;
  return object.cast<std::shared_ptr<Generator>>();
}

// One epoch --------------------------------------------------------------------------------------

/// Goes through one epoch. All of its members are touched with the interpreter's lock held, save
/// the iterator while is_running_.
class BatchIterator {
 public:
  BatchIterator(const std::shared_ptr<DataLoader>& loader, bool is_python)
      : iterator_(without_lock([&] { return loader->start(); })), is_python_(is_python) {
    living().insert(this);
  }
  BatchIterator(const BatchIterator&) = delete;
  BatchIterator& operator=(const BatchIterator&) = delete;
  ~BatchIterator() {
    try {
      living().erase(this);
      stop();
    } catch (...) {  // no thread was to be had that ends the workers: they have ended here
    }
  }

  py::object next() {
    if (is_running_) throw py::value_error("DataLoader: another thread is in this iterator");
    if (!iterator_ || *iterator_ == DataLoader::End()) throw py::stop_iteration();
    {
      struct Running {
        bool& flag;
        explicit Running(bool& running) : flag(running) { flag = true; }
        ~Running() { flag = false; }
      } running(is_running_);
      without_lock([&] { ++*iterator_; });
    }
    if (*iterator_ == DataLoader::End()) throw py::stop_iteration();
    const Tensors& batch = **iterator_;
    if (is_python_) return carried_by(batch.front());
    py::list list(batch.size());
    for (size_t i = 0; i < batch.size(); ++i) list[i] = py::cast(batch[i]);
    return list;
  }

  /// Ends the workers. They may need the interpreter's lock to get done.
  void stop() {
    if (!iterator_) return;
    if (is_worker) {
      // Garbage collection came here from a worker, perhaps one of those that are to end.
      std::thread([last = std::move(*iterator_)] {}).detach();
      iterator_.reset();
      return;
    }
    without_lock([&] { iterator_.reset(); });
  }

  /// Before the interpreter goes, no worker may be inside of it.
  static void stop_all() {
    is_ending = true;
    for (BatchIterator* iterator : std::set(living())) {
      if (!iterator->is_running_) iterator->stop();
    }
  }

 private:
  static std::set<BatchIterator*>& living() {
    static std::set<BatchIterator*> iterators;
    return iterators;
  }

  std::optional<DataLoader::Iterator> iterator_;
  bool is_python_;
  bool is_running_ = false;
};

// The classes ------------------------------------------------------------------------------------

void bind_datasets(py::module_& m) {
  py::class_<Dataset, py::smart_holder>(m, "Dataset")
      .def("__len__", &Dataset::size)
      .def("_get", [](Dataset& self, int64_t index) {
        const Tensors sample = without_lock([&] { return self.get(index); });
        py::tuple result(sample.size());
        for (size_t i = 0; i < sample.size(); ++i) result[i] = py::cast(sample[i]);
        return result;
      });
  py::class_<data::TensorDataset, Dataset, py::smart_holder>(m, "TensorDataset")
      .def(py::init<Tensors>());
  py::class_<data::Subset, Dataset, py::smart_holder>(m, "Subset")
      .def(py::init<std::shared_ptr<Dataset>, Indices>());
  py::class_<PythonDataset, Dataset, py::smart_holder>(m, "PythonDataset")
      .def(py::init<int64_t, py::object>());
  // The indices of each part; the lengths are counts or shares.
  m.def("random_split", [](int64_t size, const py::sequence& lengths, Generator* generator) {
    const auto whole = std::make_shared<PythonDataset>(size, py::none());
    bool are_counts = true;
    for (py::handle length : lengths) are_counts = are_counts && is_integer(length.ptr());
    const auto parts =
        are_counts ? data::random_split(whole, lengths.cast<std::vector<int64_t>>(), generator)
                   : data::random_split(whole, lengths.cast<std::vector<double>>(), generator);
    py::list indices;
    for (const auto& part : parts) indices.append(list_of(part->indices()));
    return indices;
  });
  m.def("stratified_split", [](const Tensor& labels, double fraction, Generator* generator) {
    const auto [first, second] = data::stratified_split(labels, fraction, generator);
    return py::make_tuple(list_of(first), list_of(second));
  });
}

void bind_samplers(py::module_& m) {
  py::class_<Sampler, py::smart_holder>(m, "Sampler")
      .def("__len__", &Sampler::size)
      .def("epoch", [](Sampler& self) { return list_of(self.epoch()); });
  py::class_<data::SequentialSampler, Sampler, py::smart_holder>(m, "SequentialSampler")
      .def(py::init<int64_t>());
  py::class_<data::RandomSampler, Sampler, py::smart_holder>(m, "RandomSampler")
      .def(py::init([](int64_t size, bool replacement, std::optional<int64_t> num_samples,
                       const py::object& generator) {
        return std::make_shared<data::RandomSampler>(size, replacement, num_samples,
                                                     shared_generator(generator));
      }));
  py::class_<data::WeightedRandomSampler, Sampler, py::smart_holder>(m, "WeightedRandomSampler")
      .def(py::init([](const std::vector<double>& weights, int64_t num_samples, bool replacement,
                       const py::object& generator) {
        return std::make_shared<data::WeightedRandomSampler>(weights, num_samples, replacement,
                                                             shared_generator(generator));
      }));
  py::class_<data::SubsetRandomSampler, Sampler, py::smart_holder>(m, "SubsetRandomSampler")
      .def(py::init([](const Indices& indices, const py::object& generator) {
        return std::make_shared<data::SubsetRandomSampler>(indices, shared_generator(generator));
      }));
  py::class_<PythonSampler, Sampler, py::smart_holder>(m, "PythonSampler")
      .def(py::init<py::object>());
  py::class_<BatchSampler, py::smart_holder>(m, "BatchSampler")
      .def(py::init<std::shared_ptr<Sampler>, int64_t, bool>())
      .def("__len__", &BatchSampler::size)
      .def("epoch", [](BatchSampler& self) {
        py::list batches;
        for (const Indices& batch : self.epoch()) batches.append(list_of(batch));
        return batches;
      });
  py::class_<PythonBatchSampler, BatchSampler, py::smart_holder>(m, "PythonBatchSampler")
      .def(py::init<py::object>());
}

void bind_loader(py::module_& m) {
  py::class_<DataLoader, py::smart_holder>(m, "DataLoader")
      .def(py::init([](const std::shared_ptr<Dataset>& dataset, int64_t batch_size, bool shuffle,
                       const std::shared_ptr<Sampler>& sampler,
                       const std::shared_ptr<BatchSampler>& batch_sampler, int num_workers,
                       bool drop_last, int64_t prefetch_factor, const py::object& generator,
                       double timeout) {
             data::DataLoaderOptions options;
             options.batch_size = batch_size;
             options.shuffle = shuffle;
             options.sampler = sampler;
             options.batch_sampler = batch_sampler;
             options.num_workers = num_workers;
             options.drop_last = drop_last;
             options.prefetch_factor = prefetch_factor;
             options.generator = shared_generator(generator);
             options.timeout = timeout;
             return std::make_shared<DataLoader>(dataset, options);
           }),
           "dataset"_a, "batch_size"_a, "shuffle"_a, "sampler"_a.none(true),
           "batch_sampler"_a.none(true), "num_workers"_a, "drop_last"_a, "prefetch_factor"_a,
           "generator"_a, "timeout"_a)
      .def("__len__", &DataLoader::size)
      .def("iterate",
           [](const std::shared_ptr<DataLoader>& self) {
             const bool is_python =
                 std::dynamic_pointer_cast<PythonDataset>(self->dataset()) != nullptr;
             return std::make_unique<BatchIterator>(self, is_python);
           })
      .def("state_dict",
           [](const DataLoader& self) {
             const data::DataLoaderState state = self.state_dict();
             return py::dict("epoch"_a = state.epoch, "cursor"_a = state.cursor,
                             "seed"_a = state.generator.seed, "offset"_a = state.generator.offset);
           })
      .def("load_state_dict", [](DataLoader& self, const py::dict& state) {
        self.load_state_dict({state["epoch"].cast<int64_t>(),
                              state["cursor"].cast<int64_t>(),
                              {state["seed"].cast<uint64_t>(), state["offset"].cast<uint64_t>()}});
      });
  py::class_<BatchIterator>(m, "BatchIterator", "The batches of one epoch.")
      .def("__iter__", [](py::object self) { return self; })
      .def("__next__", &BatchIterator::next);
  m.def("batch_generator", []() -> py::object {
    if (const auto generator = data::shared_batch_generator()) return py::cast(generator);
    return py::cast(&default_generator(), py::return_value_policy::reference);
  });
  py::module_::import("atexit").attr("register")(py::cpp_function(&BatchIterator::stop_all));
}

}  // namespace

void bind_data(py::module_& module) {
  py::module_ data_module = module.def_submodule("_data");
  bind_datasets(data_module);
  bind_samplers(data_module);
  bind_loader(data_module);
}

}  // namespace taut::python
