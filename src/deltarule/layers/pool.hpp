// pool.hpp: the twins of pool.py, sixteen samples at a time. Windows of g.rows x g.columns, g.down and g.across apart.
//
//   mean       a = sum_uv A[y s + u, x t + v] / n            D[y s + u, x t + v] += d[y, x] / n
//   max        a = max_uv A[y s + u, x t + v]                D at the first that reaches a += d[y, x]
//   subsample  z = omega mean + b, a = f(z)                  the mean's D times omega;  domega = sum d mean, db = sum d
#pragma once
#include "activations.hpp"
#include "native/maps.hpp"

namespace deltarule::DELTARULE_ISA {

template <class T>
struct Pool : MapStage<T> {
  using MapStage<T>::a, MapStage<T>::z, MapStage<T>::d;
  Geometry g;

  void layout(ptrdiff_t& used, bool training) override { this->layout_activity(used, training, g.maps, g.out_height, g.out_width, false); }
  INLINE bool apart() const { return g.down >= g.rows && g.across >= g.columns; }  // no window meets another

 protected:
  // f(channel, row, column) for every window
  template <class F>
  INLINE void each_window(F&& f) const {
    for (int c = 0; c < g.maps; c++)
      for (int y = 0; y < g.out_height; y++)
        for (int x = 0; x < g.out_width; x++) f(c, y, x);
  }
  // f(entry of maps `q` below) for every entry of a window, row by row
  template <class F>
  INLINE void each_entry(const Maps<T>& q, T* memory, int c, int y, int x, F&& f) const {
    T* first = q.at(memory, c, y * g.down, x * g.across);
    for (int u = 0; u < g.rows; u++)
      for (int v = 0; v < g.columns; v++) f(first + u * q.pitch + v * L);
  }
  INLINE V<T> mean(T* memory, int c, int y, int x) const {
    V<T> total = set(T(0));
    each_entry(this->maps_below().a, memory, c, y, x, [&](const T* p) INLINE_LAMBDA { total = total + load(p); });
    return total * set(T(1) / T(g.rows * g.columns));
  }
  // D of the maps below begins at 0: windows may overlap, and what none of them reaches has no influence
  void clear_below(T* memory) const {
    const Maps<T>& q = this->maps_below().d;
    if (apart() && g.out_height * g.rows == q.height && g.out_width * g.columns == q.width) return;
    for (int c = 0; c < q.channels; c++)
      for (int y = 0; y < q.height; y++)
        for (int x = 0; x < q.width; x++) store(q.at(memory, c, y, x), set(T(0)));
  }
  // D below from d: each window's share, times scale(channel)
  template <class F>
  INLINE void spread(T* memory, F&& scale) const {
    clear_below(memory);
    const T n = T(1) / T(g.rows * g.columns);
    const bool alone = apart();
    each_window([&](int c, int y, int x) INLINE_LAMBDA {
      const V<T> share = load(d.at(memory, c, y, x)) * set(scale(c) * n);
      each_entry(this->maps_below().d, memory, c, y, x, [&](T* p) INLINE_LAMBDA { store(p, alone ? share : load(p) + share); });
    });
  }
};

template <class T>
struct MeanPool : Pool<T> {
  void forward(const Batch<T>&, Worker<T>& worker, Span, Span) override {
    this->each_window([&](int c, int y, int x) INLINE_LAMBDA { store(this->a.at(worker.maps, c, y, x), this->mean(worker.maps, c, y, x)); });
  }
  void backward(const Batch<T>&, Worker<T>& worker, Span, Span) override {
    this->spread(worker.maps, [](int) INLINE_LAMBDA { return T(1); });
  }
};

template <class T>
struct MaxPool : Pool<T> {
  void forward(const Batch<T>&, Worker<T>& worker, Span, Span) override {
    this->each_window([&](int c, int y, int x) INLINE_LAMBDA {
      V<T> most = load(this->maps_below().a.at(worker.maps, c, y * this->g.down, x * this->g.across));
      this->each_entry(this->maps_below().a, worker.maps, c, y, x, [&](const T* p) INLINE_LAMBDA {
        const V<T> value = load(p);
        most = pick(value > most, value, pick(value == value, most, value));  // NaN stays
      });
      store(this->a.at(worker.maps, c, y, x), most);
    });
  }
  void backward(const Batch<T>&, Worker<T>& worker, Span, Span) override {
    this->clear_below(worker.maps);
    const bool alone = this->apart();
    const Maps<T>&values = this->maps_below().a, &to = this->maps_below().d;
    this->each_window([&](int c, int y, int x) INLINE_LAMBDA {
      const V<T> most = load(this->a.at(worker.maps, c, y, x));
      V<T> left = load(this->d.at(worker.maps, c, y, x));  // 0 once the first has it
      const int y0 = y * this->g.down, x0 = x * this->g.across;
      for (int u = 0; u < this->g.rows; u++)
        for (int v = 0; v < this->g.columns; v++) {
          T* p = to.at(worker.maps, c, y0 + u, x0 + v);
          const auto here = load(values.at(worker.maps, c, y0 + u, x0 + v)) == most;
          const V<T> share = pick(here, left, set(T(0)));
          store(p, alone ? share : load(p) + share);
          left = pick(here, set(T(0)), left);
        }
    });
  }
};

template <class T>
struct Subsample : Pool<T> {
  using MapStage<T>::a, MapStage<T>::z, MapStage<T>::d, Stage<T>::matrix, Pool<T>::g;
  Activation<T> activation;
  int64_t flat_omega, flat_b;   // in theta
  const T *omega, *b;           // where they are read
  ptrdiff_t stride;             // between maps
  Maps<T> means;

  void layout(ptrdiff_t& used, bool training) override {
    this->layout_activity(used, training, g.maps, g.out_height, g.out_width, this->top || needs_z(activation.f));
    means = training ? Maps<T>::place(used, g.maps, g.out_height, g.out_width, {}) : z;
  }
  ptrdiff_t scratch() const override { return L * L; }
  void bind(const T* parameters) override { omega = parameters + matrix.offset, b = omega + 1, stride = matrix.ld; }
  void bind_flat(const T* theta) override { omega = theta + flat_omega, b = theta + flat_b, stride = 1; }
  void fill(const T* theta, T* own, Span rows) const override {
    for (int o = rows.first; o < rows.last; o++) {
      T* row = own + matrix.offset + (ptrdiff_t)o * matrix.ld;
      row[0] = theta[flat_omega + o], row[1] = theta[flat_b + o];
    }
  }
  void empty(const T* own, T* theta, Span rows) const override {
    for (int o = rows.first; o < rows.last; o++) {
      const T* row = own + matrix.offset + (ptrdiff_t)o * matrix.ld;
      theta[flat_omega + o] = row[0], theta[flat_b + o] = row[1];
    }
  }

  void forward(const Batch<T>&, Worker<T>& worker, Span, Span) override {
    T* memory = worker.maps;
    this->each_window([&](int c, int y, int x) INLINE_LAMBDA {
      const V<T> mean = this->mean(memory, c, y, x);
      store(means.at(memory, c, y, x), mean);
      store(z.at(memory, c, y, x), fma(set(omega[c * stride]), mean, set(b[c * stride])));
    });
    if (!this->top)
      this->each_row(memory, [&](const T* z, T* a, T*, int row) INLINE_LAMBDA { activation.activate(z, a, 1, row); });
  }
  void delta(const Batch<T>&, Worker<T>& worker) override {
    if (!this->top)
      this->each_row(worker.maps, [&](const T* z, const T* a, T* d, int row) INLINE_LAMBDA { activation.through(z, a, d, 1, row); });
  }
  void backward(const Batch<T>&, Worker<T>& worker, Span, Span) override {
    this->spread(worker.maps, [&](int c) INLINE_LAMBDA { return omega[c * stride]; });
  }
  void tile_gradient(Worker<T>& worker, T* shard, bool begins) override {
    T *memory = worker.maps, *columns = worker.columns;
    for (int c = 0; c < g.maps; c++) {
      V<T> by_mean = set(T(0)), alone = by_mean;
      for (int y = 0; y < g.out_height; y++)
        for (int x = 0; x < g.out_width; x++) {
          const V<T> delta = load(d.at(memory, c, y, x));
          by_mean = fma(delta, load(means.at(memory, c, y, x)), by_mean), alone = alone + delta;
        }
      store(columns, by_mean), store(columns + L, alone);
      for (int k = 2; k < L; k++) store(columns + k * L, set(T(0)));
      add_lanes(columns, L, shard + matrix.offset + (ptrdiff_t)c * matrix.ld, begins);
    }
  }
};

}  // namespace deltarule::DELTARULE_ISA
