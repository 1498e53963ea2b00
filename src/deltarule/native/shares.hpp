// shares.hpp: who of a team takes how much of every layer's rows, and of the samples.
//
// Cores are not alike: some are built slower, some have a neighbour at work. Each thread is timed where it works alone, in
// the gradients, and the shares follow its speed. Who computes a number never changes it.
#pragma once
#include "stage.hpp"

namespace deltarule::DELTARULE_ISA {

struct Shares {
  static constexpr double MEMORY = 3e6;   // ns: how long a thread's past counts; a neighbour stays for tens of these
  static constexpr double MOST = 8;       // no thread is held for slower than the fastest by more
  static constexpr double TOO_LITTLE = 0.02;  // for a cut to move: rows change caches with their owner

  struct alignas(64) Runner {
    double work, time, speed;             // lately; speed is 0 while it is unknown
  };
  int size;
  Runner* runners;                        // [size]
  double* cuts[2];                        // thread p has [cuts[p], cuts[p + 1]): one in use, one drawn up for the next step

  static size_t bytes(int size) { return size * sizeof(Runner) + 2 * (size * sizeof(double) + 128); }
  void place(Arena& memory, int threads) {
    runners = take<Runner>(memory, threads);
    for (double*& c : cuts) c = take<double>(memory, threads + 1);
  }
  void begin(int threads) {                // all alike
    size = threads;
    for (double* c : cuts)
      for (int p = 0; p <= size; p++) c[p] = double(p) / size;
  }

  // thread `id` did so much in so many ns
  void measured(int id, double work, double time) {
    Runner& r = runners[id];
    if (work == 0 || time <= 0) return;
    if (r.time > 0 && time * r.work > 2 * work * r.time) time = 2 * work * r.time / r.work;  // once interrupted is not slow
    const double kept = MEMORY / (MEMORY + time);
    r.work = r.work * kept + work, r.time = r.time * kept + time;
    const double speed = r.work / r.time;
    __atomic_store(&r.speed, &speed, __ATOMIC_RELAXED);
  }

  // the cuts of the next step from those in use: thread 0 draws them, all take them up behind the next barrier
  void draw(const double* now, double* next) const {
    double slowest = speed(0), fastest = 0, total = 0;
    for (int p = 0; p < size; p++) {
      const double s = speed(p);
      slowest = s < slowest ? s : slowest, fastest = s > fastest ? s : fastest;
    }
    bool moves = false;
    if (slowest > 0) {
      for (int p = 0; p < size; p++) {
        const double s = speed(p);
        next[p] = total, total += s * MOST > fastest ? s : fastest / MOST;
      }
      for (int p = 1; p < size; p++) next[p] /= total, moves = moves || __builtin_fabs(next[p] - now[p]) > TOO_LITTLE;
    }
    for (int p = 1; p < size && !moves; p++) next[p] = now[p];
  }

 private:
  double speed(int p) const {
    double s;
    __atomic_load(&runners[p].speed, &s, __ATOMIC_RELAXED);
    return s;
  }
};

}  // namespace deltarule::DELTARULE_ISA
