// conv.hpp: the twin of conv.py, sixteen samples at a time.
//
//   forward    Z_o[y, x] = b_o + sum_cuv W_ocuv A_c[y s + u, x t + v],  A = f(Z)
//   backward   D_c[i, j] = sum_ouv W_ocuv D_o[(i - u) / s, (j - v) / t]        where that is a whole place
//   gradient   dW_ocuv = sum_yx D_o[y, x] A_c[y s + u, x t + v], db_o = sum_yx D_o[y, x]
//
// Forward and backward are one kernel: some maps times some pixels of a row, chains over (c, u, v) or (o, u, v). The
// gradient has some maps times some of the (c, u, v), chains over (y, x), and adds its lanes at the end.
#pragma once
#include "activations.hpp"
#include "native/maps.hpp"

namespace deltarule::DELTARULE_ISA {

// how many accumulators fit the registers: maps by pixels, and maps by taps
template <class T>
struct Planes {
  static constexpr int room = (REGISTERS == 32 ? 24 : 12) / V<T>::N;  // vectors
  static constexpr int maps = room >= 24 ? 6 : room >= 6 ? 3 : room >= 3 ? 3 : 1, pixels = room / maps;
  static constexpr int tapped = room >= 20 ? 4 : room >= 9 ? 3 : room >= 4 ? 2 : 1, taps = room >= 20 ? 5 : room / tapped;
};

template <class T>
struct Window {                 // acc[r][c] = start_r + sum W[r * row + ...] A[c * step + ...] over three nested steps
  const T *W, *A;
  ptrdiff_t row, step;
  int n[3];                     // planes, rows of the window, columns of the window
  ptrdiff_t w[3], a[3];         // how far W and A go for each
  const T* bias;                // or null
  ptrdiff_t bias_stride;
  T* out;
  ptrdiff_t out_row, out_step;
};

template <class T, int R, int C>
__attribute__((noinline)) void window(const Window<T>& q) {
  ptrdiff_t row = q.row;
  const ptrdiff_t step = q.step, w2 = q.w[2], a2 = q.a[2];
  V<T> acc[R][C];
  UNROLL for (int r = 0; r < R; r++) {
    const V<T> start = set(q.bias ? q.bias[r * q.bias_stride] : T(0));
    UNROLL for (int c = 0; c < C; c++) acc[r][c] = start;
  }
  for (int k = 0; k < q.n[0]; k++)
    NO_UNROLL for (int u = 0; u < q.n[1]; u++) {
      const T *W = q.W + k * q.w[0] + u * q.w[1], *A = q.A + k * q.a[0] + u * q.a[1], *W3 = W + 3 * row;
      NO_UNROLL for (int v = q.n[2]; v > 0; v--, W += w2, W3 += w2, A += a2) {
        asm("" : "+r"(row));                           // or g++ keeps R pointers, and spills them
        V<T> x[C];
        UNROLL for (int c = 0; c < C; c++) x[c] = load(A + c * step);
        UNROLL for (int r = 0; r < R; r++) {
          const V<T> weight = set(r < 3 ? W[r * row] : W3[(r - 3) * row]);
          UNROLL for (int c = 0; c < C; c++) acc[r][c] = fma(weight, x[c], acc[r][c]);
        }
      }
    }
  UNROLL for (int r = 0; r < R; r++) UNROLL for (int c = 0; c < C; c++) store(q.out + r * q.out_row + c * q.out_step, acc[r][c]);
}

template <class T>
struct Tapped {                 // acc[r][k] = sum_yx D[r][y][x] A[y][x + tap k]
  const T *D, *A;
  ptrdiff_t plane, pitch;       // of D
  ptrdiff_t down, across;       // how far A goes for a row, and a column
  int height, width;            // of D
  const ptrdiff_t* taps;        // where the k's begin, from A
  T* out;                       // [r][n][L]
  ptrdiff_t out_row;
};

template <class T, int R, int K>
__attribute__((noinline)) void tapped(const Tapped<T>& q) {
  V<T> acc[R][K];
  UNROLL for (int r = 0; r < R; r++) UNROLL for (int k = 0; k < K; k++) acc[r][k] = set(T(0));
  ptrdiff_t plane = q.plane;
  const ptrdiff_t across = q.across;
  for (int y = 0; y < q.height; y++) {
    const T *D = q.D + y * q.pitch, *A[K];
    UNROLL for (int k = 0; k < K; k++) A[k] = q.A + y * q.down + q.taps[k];
    ptrdiff_t i = 0;
    NO_UNROLL for (int x = q.width; x > 0; x--, D += L, i += across) {
      asm("" : "+r"(plane));
      V<T> delta[R];
      UNROLL for (int r = 0; r < R; r++) delta[r] = load(D + r * plane);
      UNROLL for (int k = 0; k < K; k++) {
        const V<T> a = load(A[k] + i);
        UNROLL for (int r = 0; r < R; r++) acc[r][k] = fma(delta[r], a, acc[r][k]);
      }
    }
  }
  UNROLL for (int r = 0; r < R; r++) UNROLL for (int k = 0; k < K; k++) store(q.out + r * q.out_row + k * L, acc[r][k]);
}

template <class T>
struct Conv : MapStage<T> {
  using MapStage<T>::a, MapStage<T>::z, MapStage<T>::d, Stage<T>::matrix;
  Activation<T> activation;
  Geometry g;
  int n;                        // weights of a map: channels x rows x columns
  int64_t flat_W, flat_b;       // in theta
  const T *W, *b;               // where they are read: among the engine's parameters, or in flat theta
  ptrdiff_t stride, b_stride;
  T* linked;                    // weights with zeros where there is no link, for `bind_flat`
  ptrdiff_t* taps;              // where (c, u, v) begin in the maps below


  void layout(ptrdiff_t& used, bool training) override {
    this->spare = Planes<T>::pixels - 1;
    this->layout_activity(used, training, g.maps, g.out_height, g.out_width, this->top || needs_z(activation.f));
  }
  void place(Arena& arena, int, bool training) override {
    taps = reinterpret_cast<ptrdiff_t*>(arena.bytes(n * sizeof(ptrdiff_t)));
    linked = g.links && !training ? take<T>(arena, (size_t)matrix.ld * g.maps) : nullptr;
    if (!arena.memory) return;
    for (int c = 0, k = 0; c < g.channels; c++)
      for (int u = 0; u < g.rows; u++)
        for (int v = 0; v < g.columns; v++) taps[k++] = c * this->maps_below().a.plane + u * this->maps_below().a.pitch + v * L;
  }
  ptrdiff_t scratch() const override { return (ptrdiff_t)Planes<T>::tapped * matrix.width * L; }

  // parameters: f(first number of a kernel among the engine's, in theta) for every link of a map
  template <class F>
  INLINE void each_link(Span rows, F&& f) const {
    const int kernel = g.rows * g.columns;
    int64_t place = flat_W;
    for (int o = 0; o < rows.last; o++)
      for (int c = 0; c < g.channels; c++)
        if (!g.links || g.links[o * g.channels + c]) {
          if (o >= rows.first) f((ptrdiff_t)o * matrix.ld + c * kernel, place);
          place += kernel;
        }
  }
  void bind(const T* parameters) override { read(parameters + matrix.offset); }
  void bind_flat(const T* theta) override {
    if (linked) fill(theta, linked - matrix.offset, {0, g.maps}), read(linked);
    else W = theta + flat_W, b = theta + flat_b, stride = n, b_stride = 1;
  }
  void fill(const T* theta, T* own, Span rows) const override {
    const size_t bytes = g.rows * g.columns * sizeof(T);
    T* to = own + matrix.offset;
    each_link(rows, [&](ptrdiff_t mine, int64_t flat) INLINE_LAMBDA { __builtin_memcpy(to + mine, theta + flat, bytes); });
    for (int o = rows.first; o < rows.last; o++) to[(ptrdiff_t)o * matrix.ld + n] = theta[flat_b + o];
  }
  void empty(const T* own, T* theta, Span rows) const override {
    const size_t bytes = g.rows * g.columns * sizeof(T);
    const T* from = own + matrix.offset;
    each_link(rows, [&](ptrdiff_t mine, int64_t flat) INLINE_LAMBDA { __builtin_memcpy(theta + flat, from + mine, bytes); });
    for (int o = rows.first; o < rows.last; o++) theta[flat_b + o] = from[(ptrdiff_t)o * matrix.ld + n];
  }

  // forward, row by row: it is activated while it is near

  void forward(const Batch<T>&, Worker<T>& worker, Span, Span) override {
    const Maps<T>& from = this->maps_below().a;
    T* memory = worker.maps;
    const int kernel = g.rows * g.columns;
    for (int y = 0; y < g.out_height; y++) {
      blocks(g.maps, g.out_width, [&](int o, int x, auto run) INLINE_LAMBDA {
        run(Window<T>{W + o * stride, from.at(memory, 0, y * g.down - g.top, x * g.across - g.left), stride, g.across * L,
                      {g.channels, g.rows, g.columns}, {kernel, g.columns, 1}, {from.plane, from.pitch, L},
                      b + o * b_stride, b_stride, z.at(memory, o, y, x), z.plane, L});
      });
      if (!this->top)
        for (int o = 0; o < g.maps; o++) activation.activate(z.at(memory, o, y, 0), a.at(memory, o, y, 0), 1, a.row());
    }
  }

  // back

  void delta(const Batch<T>&, Worker<T>& worker) override {
    if (!this->top)
      this->each_row(worker.maps, [&](const T* z, const T* a, T* d, int row) INLINE_LAMBDA { activation.through(z, a, d, 1, row); });
  }

  // Only windows that reach a pixel count: u = i modulo s, and (i - u) / s within the maps; so for v. Pixels that share
  // v modulo t make a block; where it reaches over the edge it meets zeros
  void backward(const Batch<T>&, Worker<T>& worker, Span, Span) override {
    const Maps<T>& to = this->maps_below().d;
    T* memory = worker.maps;
    const int kernel = g.rows * g.columns, s = g.down, t = g.across;
    for (int i = 0; i < g.height; i++) {
      const int I = i + g.top;
      const Span u = reaching(I, I, s, g.rows, g.out_height);
      for (int class_ = 0; class_ < t && class_ < g.width; class_++) {
        const int n_pixels = (g.width - class_ + t - 1) / t;
        blocks(g.channels, n_pixels, [&](int c, int x, auto run, int pixels) INLINE_LAMBDA {
          const int j = class_ + x * t, J = j + g.left;
          const Span v = reaching(J, J + (pixels - 1) * t, t, g.columns, g.out_width);
          const int nu = u.last < u.first ? 0 : (u.last - u.first) / s + 1, nv = v.last < v.first ? 0 : (v.last - v.first) / t + 1;
          run(Window<T>{W + c * kernel + u.first * g.columns + v.first, d.at(memory, 0, (I - u.first) / s, (J - v.first) / t), kernel, L,
                        {nu && nv ? g.maps : 0, nu, nv}, {stride, s * g.columns, t}, {d.plane, -d.pitch, -L},
                        nullptr, 0, to.at(memory, c, i, j), to.plane, t * L});
        });
      }
    }
  }
  // the first and last of the taps that lead from one of the pixels first, first + step ... last to one of n windows
  static INLINE Span reaching(int first, int last, int step, int taps, int n) {
    const int least = first - (n - 1) * step, from = least > first % step ? least : first % step;
    const int to = last < taps - 1 ? last : taps - 1;
    return {from, to < from ? from - 1 : to};
  }

  void tile_gradient(Worker<T>& worker, T* shard, bool begins) override {
    const Maps<T>& from = this->maps_below().a;
    T *memory = worker.maps, *columns = worker.columns;
    const int width = matrix.width;
    even_blocks(g.maps, Planes<T>::tapped, [&](int o, int r) INLINE_LAMBDA {
      even_blocks(n, Planes<T>::taps, [&](int k, int count) INLINE_LAMBDA {
        const Tapped<T> q{d.at(memory, o, 0, 0), from.at(memory, 0, -g.top, -g.left), d.plane, d.pitch, g.down * from.pitch, g.across * L,
                          d.height, d.width, taps + k, columns + (ptrdiff_t)k * L, (ptrdiff_t)width * L};
        by_number<Planes<T>::tapped>(r, [&]<int R>() INLINE_LAMBDA {
          by_number<Planes<T>::taps>(count, [&]<int K>() INLINE_LAMBDA { tapped<T, R, K>(q); });
        });
      });
      for (int q = 0; q < r; q++) {
        T* mine = columns + (ptrdiff_t)q * width * L;
        V<T> bias = set(T(0));
        for (int y = 0; y < d.height; y++)
          for (int x = 0; x < d.row(); x += L) bias = bias + load(d.at(memory, o + q, y, 0) + x);
        store(mine + (ptrdiff_t)n * L, bias);
        for (int k = n + 1; k < width; k++) store(mine + (ptrdiff_t)k * L, set(T(0)));
        T* row = shard + matrix.offset + (ptrdiff_t)(o + q) * matrix.ld;
        add_lanes(mine, width, row, begins);
        if (g.links) only_links(o + q, row);
      }
    });
  }

 private:
  void read(const T* own) { W = own, b = own + n, stride = b_stride = matrix.ld; }
  void only_links(int o, T* row) const {
    const int kernel = g.rows * g.columns;
    for (int c = 0; c < g.channels; c++)
      if (!g.links[o * g.channels + c])
        for (int k = 0; k < kernel; k++) row[c * kernel + k] = 0;
  }
  // f(map, pixel, run, pixels) for blocks of maps by pixels; run(window) is the kernel of that size
  template <class F>
  static INLINE void blocks(int maps, int pixels, F&& f) {
    even_blocks(maps, Planes<T>::maps, [&](int o, int r) INLINE_LAMBDA {
      even_blocks(pixels, Planes<T>::pixels, [&](int x, int c) INLINE_LAMBDA {
        auto run = [&](const Window<T>& q) INLINE_LAMBDA {
          by_number<Planes<T>::maps>(r, [&]<int R>() INLINE_LAMBDA {
            by_number<Planes<T>::pixels>(c, [&]<int C>() INLINE_LAMBDA { window<T, R, C>(q); });
          });
        };
        if constexpr (requires { f(o, x, run, c); }) f(o, x, run, c);
        else f(o, x, run);
      });
    });
  }
};

}  // namespace deltarule::DELTARULE_ISA
