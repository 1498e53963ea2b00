// maps.hpp: images inside the network. Sixteen samples at a time go all the way up and down, in memory that each thread
// has for itself, so that nothing of theirs leaves its cache:
//
//   maps       [channel][row][column][L]           samples in lanes, margins around for the convolution above
//   shards     [tile][parameters of all maps]      each tile's sums; they are added in the order of tiles
//
// Above the last of them the features lie as dense layers want them: `Flatten` copies them there, and the deltas back.
#pragma once
#include "gather.hpp"

namespace deltarule::DELTARULE_ISA {

constexpr ptrdiff_t SHARDS = 1 << 24;  // numbers in all shards of a piece at most: beyond, several tiles share one

struct Margins {
  int top = 0, left = 0, bottom = 0, right = 0;
};

template <class T>
struct Maps {                   // where the maps of a stage lie in a thread's memory
  ptrdiff_t first = 0, plane = 0, pitch = 0;
  int channels = 0, height = 0, width = 0;

  // the next piece of a memory of which so much is used
  static Maps place(ptrdiff_t& used, int channels, int height, int width, Margins m) {
    Maps q{0, 0, ptrdiff_t(m.left + width + m.right) * L, channels, height, width};
    q.plane = (m.top + height + m.bottom) * q.pitch;
    if (q.plane * sizeof(T) % 4096 == 0) q.plane += 4 * L;  // or the channels would meet in the same cache sets
    q.first = used + m.top * q.pitch + m.left * L;
    used += q.plane * channels;
    return q;
  }
  INLINE T* at(T* memory, int c, int y, int x) const { return memory + first + c * plane + y * pitch + x * L; }
  INLINE int row() const { return width * L; }  // numbers of a row
};

template <class T>
struct MapStage : Stage<T> {
  Maps<T> a, z, d;              // z is a where f' needs no z
  Margins margins;              // what the stage above looks at beyond the edges, and
  T border = 0;                 // what it finds there
  int spare = 0;                // columns of zeros on both sides of d, for blocks that reach over the edge

  virtual void layout(ptrdiff_t& used, bool training) = 0;
  void place(Arena&, int, bool) override {}
  virtual ptrdiff_t scratch() const { return 0; }      // numbers of a thread's memory that `tile_gradient` needs

  // once, in a thread's fresh memory
  virtual void furnish(T* memory) const {
    if (border == T(0)) return;
    const Maps<T>& q = a;
    for (int c = 0; c < q.channels; c++)
      for (int y = -margins.top; y < q.height + margins.bottom; y++)
        for (int x = -margins.left; x < q.width + margins.right; x++)
          if (y < 0 || y >= q.height || x < 0 || x >= q.width) store(q.at(memory, c, y, x), set(border));
  }

  void gradient(const Batch<T>&, Worker<T>& worker, const Descending<T>& to, Span rows) override { add_shards(this->matrix, worker, to, rows); }

 protected:
  INLINE const MapStage& maps_below() const { return *static_cast<const MapStage*>(this->below); }
  void layout_activity(ptrdiff_t& used, bool training, int channels, int height, int width, bool own_z) {
    a = Maps<T>::place(used, channels, height, width, margins);
    z = own_z ? Maps<T>::place(used, channels, height, width, {}) : a;
    if (training) d = Maps<T>::place(used, channels, height, width, {0, spare, 0, spare});
  }
  // f(row of z, of a, of d, and its length) for every row
  template <class F>
  INLINE void each_row(T* memory, F&& f) const {
    for (int c = 0; c < a.channels; c++)
      for (int y = 0; y < a.height; y++) f(z.at(memory, c, y, 0), a.at(memory, c, y, 0), d.at(memory, c, y, 0), a.row());
  }
};

// a row of a shard from `n` columns of lanes (a multiple of L): the lanes of each are added up
template <class T>
__attribute__((noinline)) void add_lanes(const T* columns, int n, T* row, bool begins) {
  for (int j = 0; j < n; j += L) {
    V<T> x[L];
    UNROLL for (int q = 0; q < L; q++) x[q] = load(columns + (ptrdiff_t)(j + q) * L);
    transpose(x);
    UNROLL for (int half = L / 2; half; half /= 2) UNROLL for (int q = 0; q < half; q++) x[q] = x[q] + x[q + half];
    store(row + j, begins ? x[0] : load(row + j) + x[0]);
  }
}

// X as maps
template <class T>
struct MapInput : MapStage<T> {
  using MapStage<T>::a;
  Gather<T> gather;
  int channels, height, width;

  void layout(ptrdiff_t& used, bool) override { this->layout_activity(used, false, channels, height, width, false); }
  void forward(const Batch<T>& batch, Worker<T>& worker, Span, Span samples) override {
    const char* rows[L];
    for (int q = 0; q < L; q++) rows[q] = batch.x(samples.first + q);
    const int n = this->n_out;
    int c = 0, y = 0, x = 0;                           // of feature j + k
    for (int j = 0; j < n; j += CHUNK) {
      const int end = n - j < CHUNK ? n : j + CHUNK;
      gather(rows, n, j, end, worker.chunk, nullptr, 0, nullptr);
      for (int k = 0; k < end - j; k++) {
        store(a.at(worker.maps, c, y, x), load(worker.chunk + k * S));
        if (++x == width) x = 0, y++;
        if (y == height) y = 0, c++;
      }
    }
  }
  void backward(const Batch<T>&, Worker<T>&, Span, Span) override {}
};

// from maps to features, channel by channel and row by row
template <class T>
struct Flatten : Stage<T> {
  INLINE const MapStage<T>& maps() const { return *static_cast<const MapStage<T>*>(this->below); }

  void place(Arena& arena, int samples, bool training) override { this->place_activity(arena, samples, training, false); }
  void forward(const Batch<T>&, Worker<T>& worker, Span, Span samples) override {
    const Maps<T>& from = this->top ? maps().z : maps().a;  // the last activation belongs to the output
    each(from, worker.maps, at(this->a, this->n_out, 0, samples.first), [](T* map, T* feature) INLINE_LAMBDA { store(feature, load(map)); });
  }
  // lanes beyond the last sample hold what an earlier batch left; above, only samples were counted
  void backward(const Batch<T>& batch, Worker<T>& worker, Span, Span samples) override {
    const I<T> counts = deltarule::DELTARULE_ISA::below<T>(batch.m - samples.first) > set(T(0));
    each(maps().d, worker.maps, at(this->d, this->n_out, 0, samples.first),
         [&](T* map, T* feature) INLINE_LAMBDA { store(map, pick(counts, load(feature), set(T(0)))); });
  }

 private:
  template <class F>
  static INLINE void each(const Maps<T>& q, T* memory, T* feature, F&& f) {
    for (int c = 0; c < q.channels; c++)
      for (int y = 0; y < q.height; y++) {
        T* row = q.at(memory, c, y, 0);
        for (int x = 0; x < q.row(); x += L, feature += S) f(row + x, feature);
      }
  }
};

}  // namespace deltarule::DELTARULE_ISA
