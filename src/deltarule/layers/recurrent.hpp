// recurrent.hpp: the twin of recurrent.py, sixteen sequences at a time through all their steps.
//
//   forward    z_t = U h_{t-1} + W x_t + b,  h_t = f(z_t)            t = 1 ... T
//   delta      D_t = f'(z_t) (dC/dh_t + U^T D_{t+1})                 t = T ... 1
//   backward   dC/dx_t = W^T D_t                                     all steps at once
//   gradient   dW = sum D_t x_t^T, dU = sum D_t h_{t-1}^T, db = sum D_t, dh_0 = U^T D_1
//
// Step t of the sixteen are samples 16 t ... 16 t + 15, so that layers above and below see nothing but samples. The engine's
// rows are those of [W U b]^T and h_0, by inputs: a token is a row of W^T, added to the bias; its gradient is added there.
#pragma once
#include "activations.hpp"
#include "native/gather.hpp"

namespace deltarule::DELTARULE_ISA {

constexpr int ALONE = 8;  // vectors of outputs of a sequence by itself: so many sums hide the latency of an fma

template <class T>
struct RNN : Stage<T> {
  using Stage<T>::n_in, Stage<T>::n_out, Stage<T>::below, Stage<T>::a, Stage<T>::d, Stage<T>::matrix;
  Activation<T> activation;
  int64_t flat_W, flat_U, flat_b, flat_h0;  // in theta; h0 -1 where it is 0
  const T *WT, *UT, *b, *h0;
  bool tokens;                              // the input: rows of W^T
  int state;                                // where its numbers begin in the state of a sequence
  T *before, *panels, *own;                 // h_{t-1} like a; D as a gradient's right-hand side; the rows, for `bind_flat`
  T *passed, *first;                        // [n_out][S]: what a masked step hands on; dC/dh_0

  INLINE ptrdiff_t stride() const { return matrix.ld; }

  void place(Arena& arena, int samples, bool training) override {
    this->place_activity(arena, samples, training, false);
    before = take<T>(arena, tile_size(n_out) * ((samples + S - 1) / S + 1));
    passed = take<T>(arena, tile_size(n_out)), first = take<T>(arena, tile_size(n_out));
    const int most = round_up(samples < STRETCH ? samples : STRETCH, L);
    panels = training ? take<T>(arena, (size_t)round_up(padded(n_out), PANEL) * most) : nullptr;
    own = training ? nullptr : take<T>(arena, (size_t)matrix.rows * matrix.ld + 2 * L);
  }
  void bind(const T* parameters) override {
    WT = parameters + matrix.offset, UT = WT + n_in * stride(), b = UT + n_out * stride(), h0 = flat_h0 < 0 ? nullptr : b + stride();
  }
  void bind_flat(const T* theta) override {
    fill(theta, own - matrix.offset, {0, matrix.rows});
    bind(own - matrix.offset);
  }
  void fill(const T* theta, T* to, Span rows) const override {
    each(rows, [&](ptrdiff_t mine, int64_t flat) INLINE_LAMBDA { to[mine] = theta[flat]; });
  }
  void empty(const T* from, T* theta, Span rows) const override {
    each(rows, [&](ptrdiff_t mine, int64_t flat) INLINE_LAMBDA { theta[flat] = from[mine]; });
  }
  // f(place among the engine's parameters, in theta)
  template <class F>
  INLINE void each(Span rows, F&& f) const {
    for (int k = rows.first; k < rows.last; k++)
      for (int i = 0; i < n_out; i++) {
        const int u = k - n_in;
        f(matrix.offset + (ptrdiff_t)k * stride() + i,
          u < 0 ? flat_W + (int64_t)i * n_in + k : u < n_out ? flat_U + (int64_t)i * n_out + u : (u == n_out ? flat_b : flat_h0) + i);
      }
  }

  // forward

  void forward(const Batch<T>& batch, Worker<T>& worker, Span, Span samples) override {
    begin(batch);
    if (batch.sequences == 1) return alone(batch, worker, samples.last);
    for (int s = samples.first; s < samples.last; s += L) {
      T *h = at(a, n_out, 0, s), *last = at(before, n_out, 0, s);
      if (tokens) token_rows(batch, s, h);
      row_blocks<T>({0, n_out}, [&](int i, int r) INLINE_LAMBDA {
        if (!tokens) {
          const Product<T> q{WT + i, stride(), n_in, 0, at(below->a, n_in, 0, s), S, n_in, Start::bias, b + i, 1, h + i * S, S};
          strip<Walk::down>(q, r, L, worker.ahead);
        }
        const Product<T> q{UT + i, stride(), n_out, 0, last, S, n_out, Start::partial, nullptr, 0, h + i * S, S};
        strip<Walk::down>(q, r, L, worker.ahead);
        activation.activate(h + i * S, h + i * S, r, L);
      });
      T* next = at(before, n_out, 0, s + L);
      const bool gaps = batch.gaps();
      const I<T> counts = batch.counts(s);
      for (int i = 0; i < n_out; i++) {
        V<T> x = load(h + i * S);
        if (gaps) x = pick(counts, x, load(last + i * S)), store(h + i * S, x);
        store(next + i * S, x);
      }
      if (worker.patience.ends(2. * L * n_out * n_out)) return;
    }
    batch.leave(state, n_out, at(before, n_out, 0, samples.last));
  }

  // one sequence by itself, its outputs in lanes: the same sums, and every lane of `a` has them
  void alone(const Batch<T>& batch, Worker<T>& worker, int samples) {
    T *h = worker.row, *z = worker.few;
    for (int i = 0; i < n_out; i++) h[i] = before[i * S];
    for (int s = 0; s < samples; s += L) {
      const T *start = tokens ? WT + batch.token(s) * stride() : b, *x = tokens ? nullptr : at(below->a, n_in, 0, s);
      for (int i = 0; i < n_out; i += ALONE * L) {
        const int n = (n_out - i + L - 1) / L;
        if (n >= ALONE) some<ALONE>(start, x, h, z, i, ALONE);
        else some<1>(start, x, h, z, i, n);
      }
      activation.activate(z, z, 1, round_up(n_out, L));
      if (!batch.gaps() || batch.data->time[batch.row(s)]) {
        T* const next = z;
        z = h, h = next;
      }
      T *now = at(a, n_out, 0, s), *next = at(before, n_out, 0, s + L);
      for (int i = 0; i < n_out; i++) store(now + i * S, set(h[i])), store(next + i * S, set(h[i]));
      if (worker.patience.ends(2. * n_out * n_out)) return;
    }
    batch.leave(state, n_out, at(before, n_out, 0, samples));
  }
  // z of n vectors of outputs from i on, `each` of them at a time
  template <int each>
  void some(const T* start, const T* x, const T* h, T* z, int i, int n) const {
    for (const int last = i + n * L; i < last; i += each * L) {
      V<T> sums[each];
      UNROLL for (int v = 0; v < each; v++) sums[v] = tokens ? load(start + i + v * L) + load(b + i + v * L) : load(b + i + v * L);
      for (int k = 0; k < (tokens ? 0 : n_in); k++)
        UNROLL for (int v = 0; v < each; v++) sums[v] = fma(load(WT + k * stride() + i + v * L), set(x[k * S]), sums[v]);
      for (int k = 0; k < n_out; k++)
        UNROLL for (int v = 0; v < each; v++) sums[v] = fma(load(UT + k * stride() + i + v * L), set(h[k]), sums[v]);
      UNROLL for (int v = 0; v < each; v++) store(z + i + v * L, sums[v]);
    }
  }

  // h_0: what came in, what was learned, or 0
  void begin(const Batch<T>& batch) {
    if (batch.enter(state, n_out, before)) return;
    for (int i = 0; i < n_out; i++) store(before + i * S, set(h0 ? h0[i] : T(0)));
  }

  // W x_t + b of sixteen tokens: sixteen outputs of their rows at a time, turned into lanes
  void token_rows(const Batch<T>& batch, int s, T* z) const {
    const T* rows[L];
    for (int q = 0; q < L; q++) rows[q] = WT + batch.token(s + q) * stride();
    for (int i = 0; i < n_out; i += L) {
      V<T> x[L];
      UNROLL for (int q = 0; q < L; q++) x[q] = load(rows[q] + i);
      transpose(x);
      for (int q = 0; q < L && i + q < n_out; q++) store(z + (i + q) * S, x[q] + set(b[i + q]));
    }
  }

  // back: what comes from above stays as it is until the recursion

  void through(int, int, int, int) override {}

  void delta(const Batch<T>& batch, Worker<T>& worker) override {
    bool handed = false;                               // by a masked step, in `passed`
    for (int s = batch.m - L; s >= (h0 ? -L : 0); s -= L) {
      T* D = s < 0 ? first : at(d, n_out, 0, s);
      if (s < 0)
        for (int k = 0; k < n_out; k++) store(D + k * S, set(T(0)));
      if (s + L < batch.m)
        row_blocks<T>({0, n_out}, [&](int k, int r) INLINE_LAMBDA {
          const Product<T> q{UT + k * stride(), stride(), n_out, 0, at(d, n_out, 0, s + L), S, n_out, Start::partial, nullptr, 0, D + k * S, S};
          strip<Walk::along>(q, r, L, worker.ahead);
        });
      if (handed)
        for (int k = 0; k < n_out; k++) store(D + k * S, load(D + k * S) + load(passed + k * S));
      if (s < 0) break;
      handed = batch.gaps();
      const I<T> counts = batch.counts(s);
      if (handed)
        for (int k = 0; k < n_out; k++) store(passed + k * S, pick(counts, set(T(0)), load(D + k * S)));
      if (worker.patience.ends(2. * L * n_out * n_out)) return;
      activation.through(at(a, n_out, 0, s), at(a, n_out, 0, s), D, n_out, L);
      if (handed)
        for (int k = 0; k < n_out; k++) store(D + k * S, pick(counts, load(D + k * S), set(T(0))));
    }
  }

  void backward(const Batch<T>&, Worker<T>& worker, Span, Span samples) override {
    row_blocks<T>({0, n_in}, [&](int k, int r) INLINE_LAMBDA {
      tiles(samples, [&](int s, int w) INLINE_LAMBDA {
        const Product<T> q{WT + k * stride(), stride(), n_out, 0, at(d, n_out, 0, s), S, n_out, Start::zero, nullptr, 0, at(below->d, n_in, k, s), S};
        strip<Walk::along>(q, r, w, worker.ahead);
        below->through(k, r, s, w);
      });
    });
  }

  // always whole, into the sums of a shard
  void gradient(const Batch<T>& batch, Worker<T>& worker, const Descending<T>& to, Span) override {
    T* g = to.p.gradient + matrix.offset;
    if (to.begins)
      for (int k = 0; k < matrix.rows; k++)
        for (int j = 0; j < matrix.width; j += L) store(g + k * stride() + j, set(T(0)));
    for (int s = 0; s < batch.m && !worker.patience.ends(2. * STRETCH * n_out * n_out); s += STRETCH) {
      const int m = batch.m - s < STRETCH ? batch.m - s : STRETCH;
      for (int q = 0; q < m; q += L) pack(at(d, n_out, 0, s + q), n_out, panels + (ptrdiff_t)q * PANEL, m);
      if (tokens) add_tokens(batch, s, m, g);
      else sums(worker, {0, n_in}, at(below->a, n_in, 0, s), tile_size(n_in), m, g);
      sums(worker, {0, n_out}, at(before, n_out, 0, s), tile_size(n_out), m, g + n_in * stride());
      sums(worker, {0, 1}, at(a, n_out, n_out, s), tile_size(n_out), m, g + (n_in + n_out) * stride());  // the constant 1
    }
    if (h0 && !batch.incoming) {
      T* row = g + (n_in + n_out + 1) * stride();
      for (int k = 0; k < n_out; k++) row[k] += deltarule::DELTARULE_ISA::sum(load(first + k * S));
    }
  }

 private:
  // rows [k, k + r) of A times D: some rows of the gradient, over m samples
  void sums(Worker<T>& worker, Span rows, const T* A, ptrdiff_t tile, int m, T* g) const {
    panel_sums(matrix, rows, A, tile, panels, m, Start::partial, g, worker);
  }
  void add_tokens(const Batch<T>& batch, int first, int m, T* g) const {
    for (int s = 0; s < m; s++) {
      if (!batch.real(first + s)) continue;
      T* row = g + batch.token(first + s) * stride();
      for (int j = 0; j < matrix.width; j += L) {
        const T* D = panels + (ptrdiff_t)(j / PANEL) * m * PANEL + (ptrdiff_t)s * PANEL + j % PANEL;
        store(row + j, load(row + j) + load(D));
      }
    }
  }
};

// What is seen of a recurrent layer: h_T, as sixteen samples, where it answers once a sequence; and where it is the top all
// its h_t, of which the output takes dC/dh_t as of an identity.
template <class T>
struct Shown : Stage<T> {
  bool last;
  void place(Arena& arena, int samples, bool training) override { this->place_activity(arena, last ? L : samples, training, false); }
  void forward(const Batch<T>& batch, Worker<T>&, Span, Span) override {
    each(batch, [](T* own, T* below) INLINE_LAMBDA { store(own, load(below)); }, this->a, this->below->a);
  }
  void backward(const Batch<T>& batch, Worker<T>&, Span, Span) override {
    for (int s = 0; last && s < batch.m - L; s += L)
      for (int i = 0; i < this->n_in; i++) store(at(this->below->d, this->n_in, i, s), set(T(0)));
    each(batch, [](T* own, T* below) INLINE_LAMBDA { store(below, load(own)); }, this->d, this->below->d);
  }

 private:
  template <class F>
  INLINE void each(const Batch<T>& batch, F&& f, T* own, T* below) const {
    const int first = last ? batch.m - L : 0;
    for (int s = first; s < batch.m; s += L)
      for (int i = 0; i < this->n_in; i++) f(at(own, this->n_in, i, s - first), at(below, this->n_in, i, s));
  }
};

}  // namespace deltarule::DELTARULE_ISA
