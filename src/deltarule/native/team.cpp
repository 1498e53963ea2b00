#include "team.hpp"

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <thread>
#include <vector>
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace deltarule {

namespace {

// cgroup v2's cpu.max, v1's cfs_quota_us: the processors' worth of time this group may use, 0 if unbounded
double quota() {
  char word[32] = "";
  double period = 0;
  if (FILE* f = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    int found = std::fscanf(f, "%31s %lf", word, &period);
    std::fclose(f);
    return found == 2 && std::strcmp(word, "max") != 0 && period > 0 ? std::atof(word) / period : 0;
  }
  double values[2] = {0, 0};
  const char* names[2] = {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"};
  for (int k = 0; k < 2; k++)
    if (FILE* f = std::fopen(names[k], "r")) {
      if (std::fscanf(f, "%lf", &values[k]) != 1) values[k] = 0;
      std::fclose(f);
    }
  return values[0] > 0 && values[1] > 0 ? values[0] / values[1] : 0;
}

struct FlushTiny {
#if defined(__x86_64__)
  unsigned before = _mm_getcsr();
  FlushTiny() { _mm_setcsr(before | 0x8040); }  // FTZ | DAZ
  ~FlushTiny() { _mm_setcsr(before); }
#elif defined(__aarch64__)
  uint64_t before;
  FlushTiny() {
    asm volatile("mrs %0, fpcr" : "=r"(before));
    asm volatile("msr fpcr, %0" : : "r"(before | uint64_t(1) << 24));  // FZ
  }
  ~FlushTiny() { asm volatile("msr fpcr, %0" : : "r"(before)); }
#endif
};

inline void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

bool (*interrupted)() = [] { return false; };

int processors() {
  static const double bound = quota();
  int n = 0;
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
#endif
  if (n == 0) n = static_cast<int>(std::thread::hardware_concurrency());
  if (bound > 0 && bound < n) n = static_cast<int>(std::ceil(bound));
  return n < 1 ? 1 : n;
}

struct Barrier {
  alignas(64) std::atomic<unsigned> arrived{0};
  alignas(64) std::atomic<unsigned> round{0};  // futex word: wait() sleeps until it changes
  alignas(64) std::atomic<double> brief{0};    // until this moment waits spin briefly
  const unsigned n;
  const bool spins;
  // More threads than processors never spin: whoever spins keeps from its processor the very thread it waits for.
  explicit Barrier(int n) : n(static_cast<unsigned>(n)), spins(n > 1 && n <= processors()) {}
};

// Spinning costs less than sleep and wake (50 us on a virtual machine) as long as the others are at work. If they do not
// come for some tenths of a millisecond, one of them has lost its processor to another process: then for a while waits
// sleep soon, so that the system can give it ours.
namespace {
constexpr int BRIEF = 2000, LONG = 30000;  // pauses of about 13 ns
constexpr double WHILE = 5e7;              // ns

bool spin(const Barrier* b, unsigned mine, int pauses) {
  for (int k = 0; k < pauses; k++) {
    if (b->round.load(std::memory_order_acquire) != mine) return true;
    pause();
  }
  return false;
}
}  // namespace

void barrier_wait(Barrier* b) {
  if (b->n == 1) return;
  unsigned mine = b->round.load(std::memory_order_relaxed);
  if (b->arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == b->n) {
    b->arrived.store(0, std::memory_order_relaxed);
    b->round.store(mine + 1, std::memory_order_release);
    b->round.notify_all();  // no system call unless somebody sleeps
    return;
  }
  if (b->spins) {
    if (spin(b, mine, BRIEF)) return;
    if (nanoseconds() >= b->brief.load(std::memory_order_relaxed)) {
      if (spin(b, mine, LONG)) return;
      b->brief.store(nanoseconds() + WHILE, std::memory_order_relaxed);
    }
  }
  b->round.wait(mine, std::memory_order_acquire);
}

double nanoseconds() {
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void team_run(int size, Job job, void* context) {
  if (size == 1) {
    Barrier alone(1);
    FlushTiny flush;
    return job(context, {0, 1, &alone});
  }
  enum : int { hold, go, leave };
  std::atomic<int> gate{hold};
  Barrier barrier(size);
  std::vector<std::thread> others;
  try {
    others.reserve(static_cast<size_t>(size - 1));
    for (int id = 1; id < size; id++)
      others.emplace_back([=, &gate, &barrier] {
        gate.wait(hold);
        if (gate.load() == leave) return;
        FlushTiny flush;
        job(context, {id, size, &barrier});
      });
  } catch (const std::exception&) {  // no more threads to be had: alone, with the same bits
    size = 1;
  }
  gate.store(size > 1 ? go : leave);
  gate.notify_all();
  {
    Barrier alone(1);
    FlushTiny flush;
    job(context, {0, size, size > 1 ? &barrier : &alone});
  }
  for (auto& t : others) t.join();
}

}  // namespace deltarule
