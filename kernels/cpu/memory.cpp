// Host memory for slabs.
#include "kernels/core/arena.h"
#include "kernels/core/backend.h"

#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace ganmm::kernels::cpu {

namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kHugePageFrom = std::size_t{4} << 20;  // below, rounding up would cost more

// " (about N available)" where the kernel tells, else nothing.
std::string available_text() {
  std::ifstream file("/proc/meminfo");
  std::string word;
  while (file >> word) {
    if (word == "MemAvailable:") {
      std::size_t kib = 0;
      if (file >> kib) return message(", about ", kib * 1024, " available");
      break;
    }
  }
  return {};
}

}  // namespace

void* allocate(std::size_t bytes) {
  const bool huge = bytes >= kHugePageFrom;
  const std::size_t alignment = huge ? kHugePage : static_cast<std::size_t>(kArenaAlignment);
  void* memory = nullptr;
  // aligned_alloc wants a multiple of the alignment.
  if (bytes <= std::numeric_limits<std::size_t>::max() - alignment) {
    const std::size_t pieces = bytes == 0 ? 1 : (bytes + alignment - 1) / alignment;
    memory = std::aligned_alloc(alignment, pieces * alignment);
#if defined(__linux__)
    // Only advice: a refusal leaves ordinary pages.
    if (memory != nullptr && huge) madvise(memory, pieces * alignment, MADV_HUGEPAGE);
#endif
  }
  if (memory == nullptr) {
    throw OutOfMemoryError(message("host memory: ", bytes, " bytes requested", available_text(),
                                   "; use a smaller batch, fewer networks or fewer restarts"));
  }
  return memory;
}

void release(void* memory) noexcept { std::free(memory); }

}  // namespace ganmm::kernels::cpu
