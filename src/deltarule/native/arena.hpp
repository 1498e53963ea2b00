// arena.hpp: all the memory of one call in one piece, zeroed, handed out in multiples of 64 bytes.
//
// The same code walks twice: once with nothing behind it, to count, and once to take. Steps allocate nothing.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace deltarule {

char* arena_allocate(size_t bytes);  // zeroed, on huge pages where it is large; throws std::bad_alloc
void arena_free(char* memory, size_t bytes) noexcept;
int64_t arena_count();  // pieces allocated by this process so far

struct Arena {
  char* memory = nullptr;  // null while counting
  size_t used = 0;
  inline __attribute__((always_inline)) char* bytes(size_t n) {
    char* p = memory ? memory + used : nullptr;
    used += (n + 63) / 64 * 64;
    return p;
  }
};

}  // namespace deltarule
