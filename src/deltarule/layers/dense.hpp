// dense.hpp: the twin of dense.py. One kernel (blocks.hpp), three ends:
//
//   forward    Z = W A_prev + b,  A = f(Z)     (n_out, m)
//   backward   D_prev = f'(Z_prev) W^T D       (n_in, m)
//   gradient   dW = D A_prev^T, db = D 1       (n_out, n_in + 1): the input's constant 1 makes b a last column of W
//
// Up to FEW samples have features in lanes instead: the same chains over k, so the same bits. Where all batches are as
// small the first layer keeps W by inputs, a row for each of them, so that outputs are in lanes without a transposition.
// The first layer passes over inputs that are zero in all samples at work (see gather.hpp).
#pragma once
#include "activations.hpp"
#include "native/gather.hpp"

namespace deltarule::DELTARULE_ISA {

template <class T>
struct Dense : Stage<T> {
  using Stage<T>::n_in, Stage<T>::n_out, Stage<T>::below, Stage<T>::a, Stage<T>::z, Stage<T>::d;
  using Stage<T>::matrix;
  Activation<T> activation;
  int64_t flat_W, flat_b;     // in theta
  const T *W, *b;             // where they are read: among the engine's parameters, or in flat theta
  ptrdiff_t stride, b_stride;
  T* panels;                  // of the inputs, [n_in / PANEL][samples][PANEL], few are rows; the first stage's belong to the worker
  Gather<T> gather;           // X, for the first stage
  Copy<T> copy;
  bool learns;                // the inputs will be needed for the gradient
  bool in_stretches;          // of sequences: their many samples are taken for the gradient some at a time
  bool by_inputs;             // the engine's rows are those of W^T, b the last
  int *places, n_places;      // then: those whose input is not zero in all samples

  void place(Arena& arena, int samples, bool training) override {
    this->place_activity(arena, samples, training, this->top || needs_z(activation.f));
    const int most = in_stretches && samples > STRETCH ? STRETCH : samples;
    panels = (below || by_inputs) && learns ? take<T>(arena, panel_size(n_in, most)) : nullptr;
    places = by_inputs ? take<int>(arena, n_in + 1) : nullptr;
  }
  void bind(const T* parameters) override {
    W = parameters + matrix.offset, b = by_inputs ? W + (ptrdiff_t)n_in * matrix.ld : W + n_in, stride = b_stride = matrix.ld;
  }
  void bind_flat(const T* theta) override { W = theta + flat_W, b = theta + flat_b, stride = n_in, b_stride = 1; }
  void fill(const T* theta, T* own, Span rows) const override {
    if (by_inputs) {
      each_by_inputs(rows, [&](ptrdiff_t mine, int64_t flat) INLINE_LAMBDA { own[mine] = theta[flat]; });
      return;
    }
    for (int i = rows.first; i < rows.last; i++) {
      T* row = own + matrix.offset + (ptrdiff_t)i * matrix.ld;
      __builtin_memcpy(row, theta + flat_W + (ptrdiff_t)i * n_in, n_in * sizeof(T));
      row[n_in] = theta[flat_b + i];
    }
  }
  void empty(const T* own, T* theta, Span rows) const override {
    if (by_inputs) {
      each_by_inputs(rows, [&](ptrdiff_t mine, int64_t flat) INLINE_LAMBDA { theta[flat] = own[mine]; });
      return;
    }
    for (int i = rows.first; i < rows.last; i++) {
      const T* row = own + matrix.offset + (ptrdiff_t)i * matrix.ld;
      __builtin_memcpy(theta + flat_W + (ptrdiff_t)i * n_in, row, n_in * sizeof(T));
      theta[flat_b + i] = row[n_in];
    }
  }
  // f(place among the engine's parameters, in theta) for rows of W^T and b
  template <class F>
  INLINE void each_by_inputs(Span rows, F&& f) const {
    for (int k = rows.first; k < rows.last; k++)
      for (int i = 0; i < n_out; i++) f(matrix.offset + (ptrdiff_t)k * matrix.ld + i, k < n_in ? flat_W + (int64_t)i * n_in + k : flat_b + i);
  }
  static size_t panel_size(int n, int samples) { return (size_t)round_up(n + 1, PANEL) * round_up(samples, L); }

  // forward

  void forward(const Batch<T>& batch, Worker<T>& worker, Span rows, Span samples) override {
    if (batch.m <= FEW) return forward_few(batch, worker, rows);
    if (!below) return forward_rows_of_X(batch, worker, rows, samples);
    row_blocks<T>(rows, [&](int i, int r) INLINE_LAMBDA {
      tiles(samples, [&](int s, int w) INLINE_LAMBDA {
        affine(worker, Start::bias, i, r, s, w, 0, n_in, at(below->a, n_in, 0, s));
        activate(i, r, s, w);
      });
    });
  }

  void forward_rows_of_X(const Batch<T>& batch, Worker<T>& worker, Span rows, Span samples) {
    const int height = round_up(batch.m, L);
    T* kept = learns ? worker.panels : nullptr;
    for (int j = 0; j < padded(n_in) / L; j++) worker.seen[j] = 0;
    tiles(samples, [&](int s, int w) INLINE_LAMBDA {
      const char* x[S];
      for (int q = 0; q < w; q++) x[q] = batch.x(s + q);
      if (batch.order) worker.ahead.reach(batch.order + s + w, S + L);
      for (int j = 0; j < n_in; j += CHUNK) {
        const bool last = j + CHUNK >= n_in;
        const int end = last ? n_in : j + CHUNK;
        Seen seen[CHUNK / L + 1] = {};
        for (int q = 0; q < w; q += L)
          gather(x + q, n_in, j, last ? padded(n_in) : end, worker.chunk + q, kept ? kept + (s + q) * PANEL : nullptr, height, seen);
        for (int k = 0; k * L < (last ? padded(n_in) : end) - j; k++) worker.seen[j / L + k] |= seen[k];
        const Hops hops(seen, end - j);
        row_blocks<T>(rows, [&](int i, int r) INLINE_LAMBDA {
          affine(worker, j ? Start::partial : Start::bias, i, r, s, w, j + hops.first, end - j - hops.first, worker.chunk + hops.first * S, hops.lengths());
        });
      }
      activate(rows.first, rows.last - rows.first, s, w);
    });
  }

  struct Hops {                // over fours of features in which no sample has anything
    int first, length[CHUNK / 4 + 1];  // where the first that counts begins; from each to the next, and to the end
    bool none;
    Hops(const Seen* seen, int n) {
      const int end = n / 4 * 4;
      int before = end, found = 0;
      first = end;
      for (int k = 0; k < end; k += 4) {
        if (!(seen[k / L] >> k % L & 15)) continue;
        if (first < end) length[found++] = k - before;
        else first = k;
        before = k;
      }
      length[found++] = end - before;
      none = found * 4 == end;
    }
    const int* lengths() const { return none ? nullptr : length; }
  };

  // rows [i, i + r) of z for the samples [s, s + w), over n inputs from j on
  INLINE void affine(Worker<T>& worker, Start start, int i, int r, int s, int w, int j, int n, const T* A, const int* hops = nullptr) {
    const Product<T> q{W + i * stride + j, stride, n,            0, A, S, n, start, b + i * b_stride, b_stride,
                       at(z, n_out, i, s), S, hops};
    if (hops) strip<Walk::hopping>(q, r, w, worker.ahead);
    else strip<Walk::along>(q, r, w, worker.ahead);
  }
  INLINE void activate(int i, int r, int s, int w) {
    if (!this->top) activation.activate(at(z, n_out, i, s), at(a, n_out, i, s), r, w);  // the top's y belongs to the output
  }

  void forward_few(const Batch<T>& batch, Worker<T>& worker, Span rows) {
    const int m = batch.m, ld = padded(n_in);
    T* inputs = by_inputs ? panels : !below && learns ? worker.panels : worker.few;
    for (int s = 0; s < m; s++)
      if (T* x = inputs + (ptrdiff_t)s * ld; below) column(below->a + s, n_in, x);
      else copy(batch.x(s), n_in, x);
    by_number<FEW>(m, [&]<int m>() INLINE_LAMBDA {
      if (by_inputs) find_places<m>(inputs, ld), all_rows_by_inputs<m>(inputs, ld);
      else few_rows<m>(inputs, ld, rows, worker.fours);
    });
    activate(rows.first, rows.last - rows.first, 0, L);
  }

  // the inputs that count, the constant 1 behind them
  template <int m>
  void find_places(const T* x, int ld) {
    int found = 0, *const to = places;
    for (int j = 0; j < ld; j += L)
      for (unsigned some = look<m>(x + j, ld); some; some &= some - 1) to[found++] = j + __builtin_ctz(some);
    n_places = found;
  }
  // where of sixteen features some sample has anything
  template <int m>
  static INLINE unsigned look(const T* x, int ld) {
    I<T> any = bits(load(x));
    UNROLL for (int s = 1; s < m; s++) any = any | bits(load(x + (ptrdiff_t)s * ld));
    return marks<T>(any);
  }
  // some vectors of outputs for m samples: W^T goes by once, row after row
  template <int m>
  void all_rows_by_inputs(const T* x, int ld) {
    constexpr int most = m == 1 ? 8 : m == 2 ? 6 : 4;  // accumulators for a sample
    even_blocks(matrix.width / L, most / V<T>::N ? most / V<T>::N : 1, [&](int j, int n) INLINE_LAMBDA {
      by_number<(most / V<T>::N ? most / V<T>::N : 1)>(n, [&]<int n>() INLINE_LAMBDA { rows_by_inputs<m, n>(x, ld, j * L); });
    });
  }
  template <int m, int n>
  __attribute__((noinline)) void rows_by_inputs(const T* x, int ld, int j) {
    V<T> acc[n][m];
    UNROLL for (int q = 0; q < n; q++) UNROLL for (int s = 0; s < m; s++) acc[q][s] = load(b + j + q * L);
    NO_UNROLL for (int p = 0; p < n_places - 1; p++) {
      const ptrdiff_t k = places[p];
      const T* w = W + k * stride + j;
      UNROLL for (int s = 0; s < m; s++) {
        const V<T> input = set(x[s * (ptrdiff_t)ld + k]);
        UNROLL for (int q = 0; q < n; q++) acc[q][s] = fma(load(w + q * L), input, acc[q][s]);
      }
    }
    T out[L];
    UNROLL for (int q = 0; q < n; q++)
      UNROLL for (int s = 0; s < m; s++) {
        store(out, acc[q][s]);
        for (int i = 0; i < L && j + q * L + i < n_out; i++) z[(j + q * L + i) * S + s] = out[i];
      }
  }

  // sixteen outputs in lanes, W by four columns at a time, of 2 x 16 rows: a chain alone would wait for its own fma.
  // The last outputs may overlap those before: the same numbers once more
  template <int m>
  void few_rows(const T* x, int ld, Span rows, int* fours) {
    int i = rows.first, *last = fours;
    for (int j = 0; j < n_in; j += L) {
      const unsigned some = look<m>(x + j, ld);
      for (int k = j; k < j + L && k + 4 <= n_in; k += 4) *last = k, last += (some >> (k - j) & 15) != 0;
    }
    *last = -1;
    for (; rows.last - i >= 2 * L; i += 2 * L) few<m, 2 * L>(x, ld, i, 2 * L, fours);
    const int left = rows.last - i, all = rows.last - rows.first;
    if (left > L && all >= 2 * L) few<m, 2 * L>(x, ld, rows.last - 2 * L, 2 * L, fours);
    else if (left > L) few<m, L>(x, ld, i, L, fours), few<m, L>(x, ld, rows.last - L, L, fours);
    else if (left && all >= L) few<m, L>(x, ld, rows.last - L, L, fours);
    else if (left) few<m, 0>(x, ld, i, left, fours);
  }
  template <int m, int R>                              // R = 0: fewer than sixteen rows, which repeat the last
  __attribute__((noinline)) void few(const T* x, int ld, int i, int r, const int* fours) {
    constexpr int n = R ? R : L;
    ptrdiff_t s1 = stride;
    const T* w[R ? (R + 2) / 3 : L];                   // a pointer for three rows, as in blocks.hpp
    T start[n], out[L];
    for (int q = 0; q < n; q++) {
      const int row = i + (q < r ? q : r - 1);
      start[q] = b[row * b_stride];
      if (!R || q % 3 == 0) w[R ? q / 3 : q] = W + row * stride;
    }
    V<T> acc[n / L][m], some[4];
    UNROLL for (int g = 0; g < n / L; g++) UNROLL for (int s = 0; s < m; s++) acc[g][s] = load(start + g * L);
    auto at = [&](int q, int k) INLINE_LAMBDA { return (R ? w[q / 3] + q % 3 * s1 : w[q]) + k; };
    for (; *fours >= 0; fours++) {
      const int k = *fours;
      asm("" : "+r"(s1));
      UNROLL for (int g = 0; g < n / L; g++) {
        columns([&](int q) INLINE_LAMBDA { return at(g * L + q, k); }, some);
        UNROLL for (int u = 0; u < 4; u++)
          UNROLL for (int s = 0; s < m; s++) acc[g][s] = fma(some[u], set(x[(ptrdiff_t)s * ld + k + u]), acc[g][s]);
      }
    }
    NO_UNROLL for (int k = n_in / 4 * 4; k < n_in; k++) {
      T column[n];
      for (int q = 0; q < n; q++) column[q] = *at(q, k);
      UNROLL for (int g = 0; g < n / L; g++)
        UNROLL for (int s = 0; s < m; s++) acc[g][s] = fma(load(column + g * L), set(x[(ptrdiff_t)s * ld + k]), acc[g][s]);
    }
    UNROLL for (int g = 0; g < n / L; g++)
      UNROLL for (int s = 0; s < m; s++) {
        store(out, acc[g][s]);
        for (int q = 0; q < L && g * L + q < r; q++) z[(i + g * L + q) * S + s] = out[q];
      }
  }

  static INLINE void column(const T* a, int n, T* x) {  // n features of one sample in lanes, in a row
    for (int k = 0; k < n; k++) x[k] = a[k * S];
  }

  void pack_inputs(const Batch<T>& batch, Span samples) override {
    if (!below || !learns || in_stretches) return;
    if (batch.m <= FEW) {
      for (int s = 0; s < batch.m; s++) column(below->a + s, padded(n_in), panels + (ptrdiff_t)s * padded(n_in));
      return;
    }
    for (int s = samples.first; s < samples.last; s += L)
      pack(at(below->a, n_in, 0, s), n_in, panels + (ptrdiff_t)s * PANEL, round_up(batch.m, L));
  }

  // back

  void through(int i, int r, int s, int w) override {
    activation.through(at(z, n_out, i, s), at(a, n_out, i, s), at(d, n_out, i, s), r, w);
  }

  void backward(const Batch<T>& batch, Worker<T>& worker, Span rows, Span samples) override {
    if (batch.m <= FEW) return backward_few(batch, rows);
    const bool many = samples.last - samples.first > 2 * S;  // then sixteen columns of W are better copied together
    row_blocks<T>(rows, [&](int j, int r) INLINE_LAMBDA {
      if (many)
        for (int i = 0; i < n_out; i++) store(worker.strip + i * L, load(W + i * stride + j));
      tiles(samples, [&](int s, int w) INLINE_LAMBDA {
        const Product<T> q{many ? worker.strip : W + j, many ? L : stride, n_out, 0, at(d, n_out, 0, s), S, n_out, Start::zero, nullptr, 0,
                           at(below->d, n_in, j, s), S};
        strip<Walk::down>(q, r, w, worker.ahead);
        below->through(j, r, s, w);
      });
    });
  }

  void backward_few(const Batch<T>& batch, Span rows) {
    for (int j = rows.first; j < rows.last; j += L) {
      const int r = rows.last - j < L ? rows.last - j : L;
      V<T> acc[FEW];
      T out[L];
      UNROLL for (int s = 0; s < FEW; s++) acc[s] = set(T(0));
      for (int i = 0; i < n_out; i++) {
        const V<T> w = load(W + i * stride + j);
        UNROLL for (int s = 0; s < FEW; s++) acc[s] = fma(w, set(d[i * S + s]), acc[s]);
      }
      UNROLL for (int s = 0; s < FEW; s++) {
        store(out, acc[s]);
        for (int q = 0; s < batch.m && q < r; q++) below->d[(j + q) * S + s] = out[q];
      }
    }
    below->through(rows.first, rows.last - rows.first, 0, L);
  }

  // rows of dW, b among them, panel by panel; they are updated while they are in registers' reach
  void gradient(const Batch<T>& batch, Worker<T>& worker, const Descending<T>& to, Span rows) override {
    if (batch.m <= FEW) {
      const T* x = below ? panels : worker.panels;
      by_number<FEW>(batch.m, [&]<int m>() INLINE_LAMBDA { by_inputs ? gradient_by_inputs<m>(worker, to, rows) : gradient_few<m>(x, worker, to, rows); });
      return;
    }
    if (in_stretches) return gradient_in_stretches(batch, worker, to, rows);
    const int height = round_up(batch.m, L), width = matrix.width;
    const T* inputs = below ? panels : worker.panels;
    const Seen* seen = !below && finite(rows, batch.m) ? worker.seen : nullptr;
    for (int j = 0; j < width; j += PANEL) {
      const int w = width - j < PANEL ? width - j : PANEL;
      row_blocks<T>(rows, [&](int i, int r) INLINE_LAMBDA {
        const ptrdiff_t place = matrix.offset + (ptrdiff_t)i * matrix.ld + j;
        Product<T> q{at(d, n_out, i, 0), S, S, tile_size(n_out), inputs + (ptrdiff_t)j * height, PANEL, batch.m, Start::zero, nullptr, 0,
                     worker.block, PANEL};
        if (to.whole) {
          q.out = to.p.gradient + place, q.ldo = matrix.ld, q.start = to.begins ? Start::zero : Start::partial;
          sums(q, r, w, seen ? seen + j / L : nullptr, worker);
        } else {
          if (to.far) fetch(to, place, r, w);
          sums(q, r, w, seen ? seen + j / L : nullptr, worker);
          to.update({place, matrix.ld, worker.block, PANEL, r, w, matrix.used - j, matrix.decayed - j}, to.p, to.u, worker.watch);
        }
      });
    }
  }
  // the same where it is wanted whole; each stretch's inputs are packed while they are near
  void gradient_in_stretches(const Batch<T>& batch, Worker<T>& worker, const Descending<T>& to, Span rows) {
    for (int s = 0; s < batch.m; s += STRETCH) {
      const int m = batch.m - s < STRETCH ? batch.m - s : STRETCH;
      for (int q = 0; q < m; q += L) pack(at(below->a, n_in, 0, s + q), n_in, panels + (ptrdiff_t)q * PANEL, m);
      const Start start = to.begins && !s ? Start::zero : Start::partial;
      panel_sums(matrix, rows, at(d, n_out, 0, s), tile_size(n_out), panels, m, start, to.p.gradient + matrix.offset, worker);
    }
  }
  // some columns of dW: nothing comes from inputs that are zero
  INLINE void sums(Product<T> q, int r, int w, const Seen* seen, Worker<T>& worker) const {
    if (!seen || (seen[0] && (w <= L || seen[1]))) return strip<Walk::along>(q, r, w, worker.ahead);
    for (int c = 0; c < w; c += L, q.A += L, q.out += L)
      if (seen[c / L]) strip<Walk::along>(q, r, L, worker.ahead);
      else if (q.start == Start::zero)
        for (int i = 0; i < r; i++) store(q.out + i * q.ldo, set(T(0)));
  }
  // whether the deltas of these rows are: times zero, an infinite one is no number, and that must be seen
  bool finite(Span rows, int m) const {
    V<T> watch = set(T(0));
    for (int s = 0; s < m; s += L)
      for (int i = rows.first; i < rows.last; i++) watch = fma(load(at(d, n_out, i, s)), set(T(0)), watch);
    const T seen = deltarule::DELTARULE_ISA::sum(watch);
    return seen == seen;
  }
  template <int m>
  __attribute__((noinline)) void gradient_few(const T* x, Worker<T>& worker, const Descending<T>& to, Span rows) {
    const int width = matrix.width;                    // and the distance between samples
    for (int i = rows.first; i < rows.last; i++) {
      const ptrdiff_t place = matrix.offset + (ptrdiff_t)i * matrix.ld;
      T* row = to.whole ? to.p.gradient + place : worker.row;
      const bool goes_on = to.whole && !to.begins;
      V<T> delta[m];
      UNROLL for (int s = 0; s < m; s++) delta[s] = set(d[i * S + s]);
      NO_UNROLL for (int j = 0; j < width; j += L) {
        V<T> acc = goes_on ? load(row + j) : set(T(0));
        UNROLL for (int s = 0; s < m; s++) acc = fma(delta[s], load(x + (ptrdiff_t)s * width + j), acc);
        store(row + j, acc);
      }
      if (!to.whole) to.update({place, matrix.ld, row, width, 1, width, matrix.used, matrix.decayed}, to.p, to.u, worker.watch);
    }
  }
  // rows of W^T, sixteen at a time; never whole
  template <int m>
  __attribute__((noinline)) void gradient_by_inputs(Worker<T>& worker, const Descending<T>& to, Span rows) {
    const int width = matrix.width, ld = padded(n_in);
    T *delta = worker.few, *sums = worker.strip;       // [m][width], [L][width]
    for (int s = 0; s < m; s++) {
      for (int i = 0; i < n_out; i++) delta[s * width + i] = d[i * S + s];
      for (int i = n_out; i < width; i++) delta[s * width + i] = 0;
    }
    changed(rows, to.u.rule != Rule::sgd || !finite({0, n_out}, m), [&](int k, int r) INLINE_LAMBDA {
      NO_UNROLL for (int j = 0; j < width; j += L)
        NO_UNROLL for (int q = 0; q < r; q++) {
          V<T> acc = set(T(0));
          UNROLL for (int s = 0; s < m; s++) acc = fma(load(delta + s * width + j), set(panels[(ptrdiff_t)s * ld + k + q]), acc);
          store(sums + q * width + j, acc);
        }
      to.update({matrix.offset + (ptrdiff_t)k * matrix.ld, matrix.ld, sums, width, r, width, matrix.used, matrix.decayed}, to.p, to.u, worker.watch);
    });
  }
  // f(first, rows), sixteen rows at most: all, or those that a step changes where a gradient of 0 changes nothing
  template <class F>
  INLINE void changed(Span rows, bool all, F&& f) const {
    for (int k = rows.first; all && k < rows.last; k += L) f(k, rows.last - k < L ? rows.last - k : L);
    for (int p = 0, r; !all && p < n_places; p += r) {
      const int k = places[p];
      for (r = 1; r < L && p + r < n_places && places[p + r] == k + r && k + r != rows.first && k + r != rows.last;) r++;
      if (k >= rows.first && k < rows.last) f(k, r);
    }
  }
  INLINE void fetch(const Descending<T>& to, ptrdiff_t place, int r, int w) const {
    for (int q = 0; q < r; q++)
      for (int c = 0; c < w; c += 64 / int(sizeof(T))) {
        const ptrdiff_t k = place + (ptrdiff_t)q * matrix.ld + c;
        __builtin_prefetch(to.p.theta + k, 1);
        for (T* state : to.p.state)
          if (state) __builtin_prefetch(state + k, 1);
      }
  }
};

}  // namespace deltarule::DELTARULE_ISA
