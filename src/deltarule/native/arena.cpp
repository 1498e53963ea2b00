#include "arena.hpp"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace deltarule {

namespace {
std::atomic<int64_t> pieces{0};
constexpr size_t huge = size_t(2) << 20;    // bytes of a huge page, which saves the TLB much trouble
constexpr size_t large = size_t(1) << 18;  // from here on memory lies on huge pages

size_t whole(size_t bytes) { return bytes >= large ? (bytes + huge - 1) / huge * huge : (bytes + 63) / 64 * 64; }
}  // namespace

#if defined(__linux__)
// The last large piece given back waits for the next call: fresh pages cost as much as a thousand small steps. Whoever
// takes it has it alone, in a fork's child too; its size stands in its first bytes.
namespace {
constexpr size_t kept = size_t(64) << 20;  // at most
std::atomic<size_t*> spare{nullptr};

void unmap(size_t* piece) {
  if (piece) munmap(piece, *piece);
}
char* used_before(size_t bytes) {
  size_t* piece = spare.exchange(nullptr, std::memory_order_acquire);
  if (piece && *piece == bytes) return static_cast<char*>(std::memset(piece, 0, bytes));
  unmap(piece);
  return nullptr;
}
char* fresh(size_t bytes) {  // zero as it comes; one huge page more leaves room to align
  void* p = mmap(nullptr, bytes + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  char *first = static_cast<char*>(p), *aligned = first + (huge - reinterpret_cast<uintptr_t>(first) % huge) % huge;
  if (aligned > first) munmap(first, static_cast<size_t>(aligned - first));
  munmap(aligned + bytes, static_cast<size_t>(first + huge - aligned));
  madvise(aligned, bytes, MADV_HUGEPAGE);
  return aligned;
}
}  // namespace
#endif

char* arena_allocate(size_t bytes) {
  pieces.fetch_add(1, std::memory_order_relaxed);
  bytes = whole(bytes);
#if defined(__linux__)
  if (bytes >= huge) {
    char* before = used_before(bytes);
    return before ? before : fresh(bytes);
  }
#endif
  void* p = std::aligned_alloc(64, bytes);
  if (!p) throw std::bad_alloc();
  return static_cast<char*>(std::memset(p, 0, bytes));
}

void arena_free(char* memory, size_t bytes) noexcept {
#if defined(__linux__)
  if (bytes = whole(bytes); bytes >= huge) {
    size_t* piece = reinterpret_cast<size_t*>(memory);
    *piece = bytes;
    unmap(bytes <= kept ? spare.exchange(piece, std::memory_order_acq_rel) : piece);
    return;
  }
#endif
  std::free(memory);
  (void)bytes;
}

int64_t arena_count() { return pieces.load(std::memory_order_relaxed); }

}  // namespace deltarule
