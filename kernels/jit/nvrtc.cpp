#include "kernels/jit/nvrtc.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <memory>

#include "kernels/api/cuda_library.h"
#include "taut/base/check.h"

namespace taut::kernels::jit {

// Note [Signatures]
// A kernel's types are asked of the compiler itself. Beside the kernel a template is instantiated
// whose argument is the type of a pointer to it; the mangled name of that instance spells the type
// with every typedef and template argument resolved, also for extern "C" kernels, whose own symbols
// tell nothing.
const char* const kPrelude =
    "typedef signed char int8_t;\n"
    "typedef short int16_t;\n"
    "typedef int int32_t;\n"
    "typedef long long int64_t;\n"
    "typedef unsigned char uint8_t;\n"
    "typedef unsigned short uint16_t;\n"
    "typedef unsigned int uint32_t;\n"
    "typedef unsigned long long uint64_t;\n"
    "#define INFINITY __int_as_float(0x7f800000)\n"
    "#define NAN __int_as_float(0x7fffffff)\n"
    "namespace taut_detail {\n"
    "template <class> __global__ void signature() {}\n"
    "}\n";

namespace {

constexpr const char* kPreludeName = "taut_prelude.h";

using Program = void*;
using Status = int;  // 0 for success

struct Functions {
  Status (*version)(int*, int*);
  Status (*architecture_count)(int*);
  Status (*architectures)(int*);
  const char* (*error_string)(Status);
  Status (*create)(Program*, const char*, const char*, int, const char* const*, const char* const*);
  Status (*destroy)(Program*);
  Status (*add_name)(Program, const char*);
  Status (*compile)(Program, int, const char* const*);
  Status (*log_size)(Program, size_t*);
  Status (*log)(Program, char*);
  Status (*lowered_name)(Program, const char*, const char**);
  Status (*cubin_size)(Program, size_t*);
  Status (*cubin)(Program, char*);
  Status (*ptx_size)(Program, size_t*);
  Status (*ptx)(Program, char*);
  std::vector<std::string> include_folders;  // none when the toolkit's headers were not found
};

bool is_file(const std::string& path) { return ::access(path.c_str(), R_OK) == 0; }

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

// The folder of the file that a function of the library was loaded from, links resolved.
std::string library_folder(const void* function) {
  Dl_info info{};
  char path[PATH_MAX];
  if (dladdr(function, &info) == 0 || ::realpath(info.dli_fname, path) == nullptr) return {};
  return folder_of(path);
}

// The headers that belong to the library, or else those that the environment names; libcu++ has a
// folder of its own from CUDA 13 on.
std::vector<std::string> find_include_folders(const void* function) {
  std::vector<std::string> candidates;
  const std::string library = library_folder(function);
  if (!library.empty()) {
    candidates.push_back(library + "/../include");
    candidates.push_back(library + "/../../cuda_runtime/include");  // the layout of pip packages
  }
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const char* root = std::getenv(variable)) candidates.push_back(concat(root, "/include"));
  }
  candidates.push_back("/usr/local/cuda/include");
  for (const std::string& folder : candidates) {
    if (!is_file(folder + "/cuda_fp16.h")) continue;
    if (is_file(folder + "/cccl/cuda/std/cstdint")) return {folder, folder + "/cccl"};
    return {folder};
  }
  return {};
}

Functions find_functions() {
  const cuda::CudaLibrary library("NVRTC", {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so",
                                            "/usr/local/cuda/lib64/libnvrtc.so"});
  Functions f{};
  library.find(f.version, "nvrtcVersion");
  library.find(f.architecture_count, "nvrtcGetNumSupportedArchs");
  library.find(f.architectures, "nvrtcGetSupportedArchs");
  library.find(f.error_string, "nvrtcGetErrorString");
  library.find(f.create, "nvrtcCreateProgram");
  library.find(f.destroy, "nvrtcDestroyProgram");
  library.find(f.add_name, "nvrtcAddNameExpression");
  library.find(f.compile, "nvrtcCompileProgram");
  library.find(f.log_size, "nvrtcGetProgramLogSize");
  library.find(f.log, "nvrtcGetProgramLog");
  library.find(f.lowered_name, "nvrtcGetLoweredName");
  library.find(f.cubin_size, "nvrtcGetCUBINSize");
  library.find(f.cubin, "nvrtcGetCUBIN");
  library.find(f.ptx_size, "nvrtcGetPTXSize");
  library.find(f.ptx, "nvrtcGetPTX");
  f.include_folders = find_include_folders(reinterpret_cast<const void*>(f.version));
  return f;
}

// A failed look is repeated by the next call: the library may be there by then.
const Functions& nvrtc() {
  static const Functions functions = find_functions();
  return functions;
}

void check(const char* what, Status status) {
  TAUT_CHECK(status == 0, CudaError, what, ": ", nvrtc().error_string(status));
}

// One program of the compiler, destroyed with the scope.
class ProgramGuard {
 public:
  ProgramGuard(const std::string& source, const std::string& file_name) {
    const char* header_text[] = {kPrelude};
    const char* header_name[] = {kPreludeName};
    check("nvrtcCreateProgram", nvrtc().create(&program_, source.c_str(), file_name.c_str(), 1,
                                               header_text, header_name));
  }
  ProgramGuard(const ProgramGuard&) = delete;
  ProgramGuard& operator=(const ProgramGuard&) = delete;
  ~ProgramGuard() { nvrtc().destroy(&program_); }
  Program get() const { return program_; }

 private:
  Program program_ = nullptr;
};

// The file that the log speaks of: "scale.cu" for "my::scale<float>".
std::string file_name_of(const std::string& name) {
  const std::string plain = name.substr(0, name.find('<'));
  const size_t colon = plain.rfind(':');
  return (colon == std::string::npos ? plain : plain.substr(colon + 1)) + ".cu";
}

bool has_option(const std::vector<std::string>& options, std::string_view a, std::string_view b) {
  for (const std::string& option : options) {
    if (option.starts_with(a) || option.starts_with(b)) return true;
  }
  return false;
}

std::vector<std::string> all_options(const CompileRequest& request) {
  std::vector<std::string> options = {concat("--pre-include=", kPreludeName)};
  if (!has_option(request.options, "--gpu-architecture", "-arch")) {
    options.push_back("--gpu-architecture=" + request.architecture);
  }
  if (!has_option(request.options, "--std", "-std")) options.push_back("--std=c++20");
  options.insert(options.end(), request.options.begin(), request.options.end());
  // Last, so that folders of the user's own come before it.
  for (const std::string& folder : nvrtc().include_folders) {
    options.push_back("--include-path=" + folder);
  }
  return options;
}

std::string log_of(Program program) {
  size_t bytes = 0;
  if (nvrtc().log_size(program, &bytes) != 0 || bytes == 0) return {};
  std::string text(bytes, '\0');
  if (nvrtc().log(program, text.data()) != 0) return {};
  text.resize(text.find_last_not_of(std::string("\0\n ", 3)) + 1);
  return text;
}

std::string demangled(const char* symbol) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(symbol, nullptr, nullptr, &status), std::free);
  return status == 0 ? std::string(text.get()) : std::string();
}

// "void (*)(float const*, int)" of "void taut_detail::signature<void (*)(float const*, int)>()".
std::string pointer_type(const char* symbol) {
  const std::string text = demangled(symbol);
  const size_t begin = text.find('<');
  const size_t end = text.rfind('>');
  return begin == std::string::npos || end == std::string::npos
             ? std::string()
             : text.substr(begin + 1, end - begin - 1);
}

std::string image_of(Program program) {
  size_t bytes = 0;
  std::string image;
  if (nvrtc().cubin_size(program, &bytes) == 0 && bytes > 0) {
    image.resize(bytes);
    check("nvrtcGetCUBIN", nvrtc().cubin(program, image.data()));
    return image;
  }
  check("nvrtcGetPTXSize", nvrtc().ptx_size(program, &bytes));
  image.resize(bytes);  // with a zero at its end
  check("nvrtcGetPTX", nvrtc().ptx(program, image.data()));
  return image;
}

}  // namespace

std::string nvrtc_version() {
  int major = 0;
  int minor = 0;
  check("nvrtcVersion", nvrtc().version(&major, &minor));
  return concat(major, ".", minor);
}

std::vector<int> nvrtc_architectures() {
  int count = 0;
  check("nvrtcGetNumSupportedArchs", nvrtc().architecture_count(&count));
  std::vector<int> result(static_cast<size_t>(count));
  check("nvrtcGetSupportedArchs", nvrtc().architectures(result.data()));
  return result;
}

CompiledCode run_nvrtc(const CompileRequest& request) {
  const ProgramGuard program(request.source, file_name_of(request.name));
  const std::string signature = "taut_detail::signature<decltype(&" + request.name + ")>";
  for (const std::string& name : {request.name, signature}) {
    check("nvrtcAddNameExpression", nvrtc().add_name(program.get(), name.c_str()));
  }
  const std::vector<std::string> options = all_options(request);
  std::vector<const char*> texts;
  texts.reserve(options.size());
  for (const std::string& option : options) texts.push_back(option.c_str());
  const Status status =
      nvrtc().compile(program.get(), static_cast<int>(texts.size()), texts.data());
  TAUT_CHECK(status == 0, CudaError, "kernel ", request.name, ": NVRTC ", nvrtc_version(),
             " could not compile it for ", request.architecture, ":\n", log_of(program.get()));
  const char* symbol = nullptr;
  const char* signature_symbol = nullptr;
  check("nvrtcGetLoweredName", nvrtc().lowered_name(program.get(), request.name.c_str(), &symbol));
  check("nvrtcGetLoweredName",
        nvrtc().lowered_name(program.get(), signature.c_str(), &signature_symbol));
  return {image_of(program.get()), symbol, pointer_type(signature_symbol)};
}

bool has_compiler() {
  try {
    nvrtc();
    return true;
  } catch (const DeviceError&) {
    return false;
  }
}

}  // namespace taut::kernels::jit
