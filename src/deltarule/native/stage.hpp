// stage.hpp: what a layer is to the engine. A layer's file has one Stage, with the verbs of its textbook twin:
//
//   forward    a = layer of a_prev
//   through    d <- f'(z) d: the textbook's `delta`, a block at a time while it is in cache
//   backward   d of the stage below, from d
//   gradient   the sum of d a_prev^T, and the update
//
// A stage of maps (see maps.hpp) works on sixteen samples at a time, in its thread's own memory; it says `delta` as the
// textbook does, and has its sums of one tile by `tile_gradient`.
//
// Sequences go sixteen at a time through all their steps: to the layers but the recurrent these are samples like others.
//
// A stage works on some of its features and some of the batch's samples: where it is `by_rows`, threads share the
// features and see every sample (their weights stay in their caches); otherwise they share the samples.
#pragma once
#include "native/arena.hpp"
#include "native/team.hpp"
#include "optimizers.hpp"

namespace deltarule::DELTARULE_ISA {

constexpr int CHUNK = 112;  // features of X that are gathered, transposed and used up at a time: they stay in L1
constexpr int STRETCH = 256;  // samples of sequences that a gradient takes at a time: their panels stay in L2
constexpr int FEW = 4;      // up to so many samples, features go in lanes: 12 of 16 lanes would be idle

template <class T>
T* take(Arena& arena, size_t n) {
  return reinterpret_cast<T*>(arena.bytes(n * sizeof(T)));
}

// the i-th of whole numbers: tokens and labels
INLINE int64_t whole_at(const void* numbers, Element element, int64_t i) {
  return element == Element::uint8 ? static_cast<const uint8_t*>(numbers)[i]
         : element == Element::uint16 ? static_cast<const uint16_t*>(numbers)[i] : static_cast<const int64_t*>(numbers)[i];
}

struct Memory : Arena {      // of one call; freed with it
  size_t size;
  INLINE explicit Memory(size_t bytes) : Arena{arena_allocate(bytes), 0}, size(bytes) {}
  INLINE ~Memory() { arena_free(memory, size); }
  Memory(const Memory&) = delete;
};

template <class T>
struct Batch {               // m samples of the data: those in `order`, or from `first` where there is none
  const Samples* data;
  const int64_t* order;
  int64_t first;
  int m;
  int64_t step;              // the number of the update, from 1
  int steps = 0;             // of sequences: sample s is step s / L of the one in lane s % L
  int sequences = 0;         // that there are, up to L
  const T* incoming = nullptr;  // the states of these sequences before their first step, and
  T* outgoing = nullptr;        // behind their last, n_state apart
  int n_state = 0;
  // the row of the data set; lanes beyond the last one repeat it
  INLINE int64_t sequence(int s) const {
    const int k = steps ? s % L : s, last = (steps ? sequences : m) - 1;
    return order ? order[k < last ? k : last] : first + (k < last ? k : last);
  }
  INLINE int64_t row(int s) const { return steps ? sequence(s) * steps + s / L : sequence(s); }  // or its step
  INLINE const char* x(int s) const { return static_cast<const char*>(data->X) + row(s) * data->bytes; }
  INLINE bool real(int s) const { return steps ? s % L < sequences : s < m; }
  INLINE T weight(int s) const {
    return !real(s) ? T(0) : data->weights ? static_cast<const T*>(data->weights)[data->step_weights ? row(s) : sequence(s)] : T(1);
  }
  INLINE int64_t token(int s) const { return whole_at(data->X, data->element, row(s)); }
  // whether sixteen samples may have steps that do not count, and which of them do
  INLINE bool gaps() const { return data->time != nullptr; }
  INLINE I<T> counts(int s) const {
    T yes[L];
    for (int q = 0; q < L; q++) yes[q] = data->time ? T(data->time[row(s + q)]) : T(1);
    return load(yes) > set(T(0));
  }
  // the part of a state that begins at `at`, as lanes [n][S]; false if none came in
  bool enter(int at, int n, T* lanes) const {
    for (int i = 0; incoming && i < n; i++)
      for (int q = 0; q < L; q++) lanes[i * S + q] = incoming[(ptrdiff_t)(q < sequences ? q : sequences - 1) * n_state + at + i];
    return incoming != nullptr;
  }
  void leave(int at, int n, const T* lanes) const {
    for (int q = 0; outgoing && q < sequences; q++)
      for (int i = 0; i < n; i++) outgoing[(ptrdiff_t)q * n_state + at + i] = lanes[i * S + q];
  }
};

struct Patience {            // some tenths of a second of work between two looks at the signals
  double done = 0;
  bool asks = true;          // by one thread of a team alone, the one that called
  bool* over = nullptr;      // of a team: the call is to end, and what is in the making will not be used
  INLINE bool ends(double operations) {
    if (over && __atomic_load_n(over, __ATOMIC_RELAXED)) return true;
    if (!asks || (done += operations) < 2e9) return false;
    done = 0;
    if (!interrupted()) return false;
    if (over) __atomic_store_n(over, true, __ATOMIC_RELAXED);
    return true;
  }
};

template <class T>
struct Worker {              // what one thread has for itself
  T *chunk;                  // [CHUNK + L][S], the piece of X at work
  T *strip;                  // [n_out][L], sixteen columns of W for `backward`
  T *block;                  // [rows][PANEL], a block of the gradient
  T *few, *row;              // [FEW][padded n], samples one after the other; [padded n], a row of the gradient
  T *panels;                 // of X: the first stage's inputs, each thread's own copy
  uint16_t* seen;            // where X is not zero, sixteen features each: some sample of the batch has another number
  int* fours;                // likewise of a few samples: where four inputs begin, and -1
  T *maps, *columns;         // all maps of sixteen samples; the lanes of some rows of a gradient
  T *y, *t;                  // [n_outputs][L], outputs and targets of sixteen samples
  const double* cuts;        // of everything, this thread's share is [cuts[0], cuts[1])
  Ahead ahead;
  Patience patience;
  int64_t pieces;            // of batches, so far
  V<T> watch;                // NaN once a gradient or an update was not finite

  INLINE Span share(int n, int unit = 1) const {
    const int units = (n + unit - 1) / unit, first = int(units * cuts[0] + 0.5) * unit, last = int(units * cuts[1] + 0.5) * unit;
    return {first < n ? first : n, last < n ? last : n};
  }
};

template <class T>
struct Shards {              // the sums of each tile over the parameters of the maps
  T* sums;                   // [n][size]
  ptrdiff_t size;
  int tiles, n;              // tiles in each, and how many there are
};

template <class T>
struct Descending {          // the state of the descent in one step
  Parameters<T> p;
  Update<T> u;
  Updater<T> update;
  bool whole;                // the gradient is needed whole before the update
  bool far;                  // parameters had better be fetched ahead
  bool begins;               // with this chunk of the batch
  Shards<T> shards;
};

// A stage's parameters among the engine's: rows of weights with the bias behind, ld apart, zeros up to whole vectors
struct Matrix {
  ptrdiff_t offset = 0;
  int rows = 0, ld = 0, width = 0, used = 0, decayed = 0;  // width: used, in whole vectors; decay reaches the first
  int decaying = 1 << 30;    // rows from here on do not decay
  INLINE int decayed_in(int row) const { return row < decaying ? decayed : 0; }
};

// rows of a gradient: those of A, in tiles of features and samples, times what lies in panels, over m samples
template <class T>
void panel_sums(const Matrix& q, Span rows, const T* A, ptrdiff_t tile, const T* panels, int m, Start start, T* gradient, Worker<T>& worker) {
  for (int j = 0; j < q.width; j += PANEL) {
    const int w = q.width - j < PANEL ? q.width - j : PANEL;
    row_blocks<T>(rows, [&](int i, int r) INLINE_LAMBDA {
      const Product<T> product{A + i * S, S, S, tile, panels + (ptrdiff_t)j * m, PANEL, m, start, nullptr, 0, gradient + (ptrdiff_t)i * q.ld + j, q.ld};
      strip<Walk::along>(product, r, w, worker.ahead);
    });
  }
}

// rows of parameters: the shards in their order, and the update
template <class T>
void add_shards(const Matrix& q, Worker<T>& worker, const Descending<T>& to, Span rows) {
  for (int i = rows.first; i < rows.last; i++) {
    const ptrdiff_t place = q.offset + (ptrdiff_t)i * q.ld;
    T* row = to.whole ? to.p.gradient + place : worker.row;
    for (int j = 0; j < q.width; j += L) {
      V<T> total = to.whole && !to.begins ? load(row + j) : set(T(0));
      for (int k = 0; k < to.shards.n; k++) total = total + load(to.shards.sums + k * to.shards.size + place + j);
      store(row + j, total);
    }
    if (!to.whole) to.update({place, q.ld, row, q.width, 1, q.width, q.used, q.decayed_in(i)}, to.p, to.u, worker.watch);
  }
}

template <class T>
struct Stage {
  static void* operator new(size_t, void* place) noexcept { return place; }  // <new> would be std::
  int n_in, n_out;
  Stage* below;
  bool by_rows, trainable, top;
  T *a, *z, *d;              // [tile][n_out, 1, 0 ...][S]; z is a where f' needs no z
  Matrix matrix;

  virtual void place(Arena& arena, int samples, bool training) = 0;
  virtual void forward(const Batch<T>&, Worker<T>&, Span rows, Span samples) = 0;
  virtual void pack_inputs(const Batch<T>&, Span) {}
  virtual void through(int, int, int, int) {}
  virtual void backward(const Batch<T>&, Worker<T>&, Span rows, Span samples) = 0;
  virtual void delta(const Batch<T>&, Worker<T>&) {}
  virtual void tile_gradient(Worker<T>&, T*, bool) {}
  virtual void gradient(const Batch<T>&, Worker<T>&, const Descending<T>&, Span) {}
  virtual void bind(const T*) {}                       // read the weights from among the engine's parameters,
  virtual void bind_flat(const T*) {}                  // or from flat theta
  virtual void fill(const T*, T*, Span) const {}       // rows of flat theta -> the engine's parameters
  virtual void empty(const T*, T*, Span) const {}      // and back

 protected:
  // a (and z, where it is another) with the constant 1 behind the features
  void place_activity(Arena& arena, int samples, bool training, bool own_z) {
    const size_t n = tile_size(n_out) * ((samples + S - 1) / S);
    a = take<T>(arena, n), z = own_z ? take<T>(arena, n) : a, d = training ? take<T>(arena, n) : nullptr;
    if (arena.memory)
      for (int s = 0; s < samples; s += L) store(at(a, n_out, n_out, s), set(T(1)));
  }
};

}  // namespace deltarule::DELTARULE_ISA
