// Overwrites the CUDA runtime in each library that is linked with it statically, as soon as the
// library is loaded. For x86-64.
#include <cxxabi.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>

#include "fake.h"

namespace fake_gpu {
namespace {

// Calls visit(name, address) for the functions in the table of symbols of a library, where hidden
// ones are too. `path` is empty for the program itself.
template <typename Visit>
void VisitFunctions(const std::string &path, uintptr_t base, Visit &&visit) {
  const int file = open(path.empty() ? "/proc/self/exe" : path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (file < 0 || fstat(file, &status)) {
    return;
  }
  void *mapped = mmap(nullptr, status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
  close(file);
  if (mapped == MAP_FAILED) {
    return;
  }
  const char *begin = static_cast<const char *>(mapped);
  const auto *header = reinterpret_cast<const ElfW(Ehdr) *>(begin);
  const auto *sections = reinterpret_cast<const ElfW(Shdr) *>(begin + header->e_shoff);
  for (const auto *table = sections; table != sections + header->e_shnum; table++) {
    if (table->sh_type != SHT_SYMTAB) {
      continue;
    }
    const char *names = begin + sections[table->sh_link].sh_offset;
    const auto *symbols = reinterpret_cast<const ElfW(Sym) *>(begin + table->sh_offset);
    for (size_t i = 0; i < table->sh_size / sizeof *symbols; i++) {
      if (ELF64_ST_TYPE(symbols[i].st_info) == STT_FUNC && symbols[i].st_value) {
        visit(names + symbols[i].st_name, reinterpret_cast<char *>(base + symbols[i].st_value));
      }
    }
  }
  munmap(mapped, status.st_size);
}

template <typename Visit>
void VisitFunctionsAround(const void *address, Visit &&visit) {
  Dl_info info;
  link_map *library;
  if (dladdr1(address, &info, reinterpret_cast<void **>(&library), RTLD_DL_LINKMAP)) {
    VisitFunctions(library->l_name, library->l_addr, visit);
  }
}

// cudaMalloc and the like. Texts of errors need no device.
bool IsRuntime(const char *name) {
  return !strncmp(name, "cuda", 4) && isupper(name[4]) && !strchr(name, '.') &&
         strncmp(name, "cudaGetError", 12);
}

constexpr const char *kMemoryOfDali = "malloc_memory_resource19do_deallocate_async";

// By name, the functions of this library that stand in for those of the runtime.
const std::unordered_map<std::string, void *> &Ours() {
  static const auto &ours = *[] {
    auto *found = new std::unordered_map<std::string, void *>;
    VisitFunctionsAround(reinterpret_cast<void *>(&NameOf), [&](const char *name, char *address) {
      if (IsRuntime(name) || !strncmp(name, "__cuda", 6) || strstr(name, kMemoryOfDali)) {
        (*found)[name] = address;
      }
    });
    return found;
  }();
  return ours;
}

int Missing(const char *name) {
  Fault("%s is not known here", name);
  return cudaErrorNotSupported;
}

struct __attribute__((packed)) Jump {
  unsigned char mov_rax[2] = {0x48, 0xB8};
  const void *target;
  unsigned char jmp_rax[2] = {0xFF, 0xE0};
};

struct __attribute__((packed)) CallMissing {
  unsigned char mov_rdi[2] = {0x48, 0xBF};
  const char *name;
  Jump jump = {.target = reinterpret_cast<void *>(&Missing)};
};

constexpr int kWritable = PROT_READ | PROT_WRITE | PROT_EXEC;

const void *CallMissingWith(const char *name) {
  constexpr size_t kBytes = size_t{1} << 26;  // of addresses
  static auto *next = static_cast<CallMissing *>(
      mmap(nullptr, kBytes, kWritable, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  *next = {.name = strdup(name)};
  return next++;
}

void Overwrite(const char *name, char *address) {
  // What is called by way of a base class has a second name, and is a second function.
  const char *method = strncmp(name, "_ZTv", 4) ? nullptr : strstr(name, "_N4dali2mm");
  const auto ours = Ours().find(method ? std::string("_Z") + (method + 1) : name);
  const bool missing = ours == Ours().end();
  if (missing && !IsRuntime(name)) {
    return;
  }
  // A function that begins at a multiple of 16 has room for a jump, however short it is.
  if (reinterpret_cast<uintptr_t>(address) % 16) {
    return Fault("%s may be too short", name);
  }
  const Jump jump = {.target = missing ? CallMissingWith(name) : ours->second};
  char *page = address - reinterpret_cast<uintptr_t>(address) % 4096;
  const size_t bytes = address + sizeof jump - page;
  if (mprotect(page, bytes, kWritable)) {
    std::abort();
  }
  memcpy(address, &jump, sizeof jump);
  mprotect(page, bytes, PROT_READ | PROT_EXEC);
}

int Patch(dl_phdr_info *library, size_t, void *) {
  static auto &seen = *new std::set<std::pair<std::string, uintptr_t>>;
  const std::string path = library->dlpi_name;
  const uintptr_t base = library->dlpi_addr;
  bool has_runtime = false, is_ours = false;
  if (seen.insert({path, base}).second) {
    VisitFunctions(path, base, [&](const char *name, const char *address) {
      has_runtime = has_runtime || !strcmp(name, "cudaMalloc");
      is_ours = is_ours || address == reinterpret_cast<char *>(&Patch);
    });
  }
  if (has_runtime && !is_ours) {
    VisitFunctions(path, base, Overwrite);
  }
  return 0;
}

__attribute__((constructor)) void PatchAll() {
  static auto &mutex = *new std::mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  dl_iterate_phdr(Patch, nullptr);
}

}  // namespace

std::string NameOf(const void *function) {
  std::string result;
  VisitFunctionsAround(function, [&](const char *name, const char *address) {
    if (address == function) {
      result = Demangled(name);
    }
  });
  return result;
}

std::string Demangled(const char *name) {
  const std::unique_ptr<char, decltype(&free)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, nullptr), &free);
  return text ? text.get() : name;
}

}  // namespace fake_gpu

extern "C" __attribute__((visibility("default"))) void *dlopen(const char *name, int flags) {
  static const auto real = reinterpret_cast<decltype(&dlopen)>(dlsym(RTLD_NEXT, "dlopen"));
  void *library = real(name, flags);
  if (library) {
    fake_gpu::PatchAll();
  }
  return library;
}
