// blocks.hpp: the one kernel under every layer, and the layouts it runs on.
//
//   out[r][c] = start + sum_k W(r, k) A[k][c]       R rows, C vectors of columns, k ascending: one chain of fma a number
//
// Forward, backward and gradient are this kernel on other operands, so that block sizes, tiles and threads decide who
// computes a number and when, never how. That is the whole of "same bits".
//
//   activations, deltas    [tile of S samples][feature][S]          samples in lanes
//   panels                 [PANEL features][sample][PANEL]          features in lanes: the gradient's right-hand side
//   weights                rows of ld numbers, the bias behind the last weight (the input's constant 1 multiplies it)
#pragma once
#include "lanes.hpp"

namespace deltarule::DELTARULE_ISA {

constexpr int S = 32, PANEL = 32;

// how many accumulators fit the registers beside the operands
template <class T>
struct Shape {
  static constexpr int cols = REGISTER == 64 && sizeof(T) == 4 ? 2 : 1;
  static constexpr int rows = (REGISTERS - REGISTERS / 8) / (cols * V<T>::N) - (REGISTER == 32 && sizeof(T) == 4);
};

INLINE int round_up(int n, int k) { return (n + k - 1) / k * k; }

struct Span {  // [first, last)
  int first, last;
};

// Rows of the data that will be gathered soon are touched from inside the kernel, two lines every fourth k.
struct Ahead {
  const char *p, *end;          // what is left of the present row
  const char* X;
  int64_t bytes;                // of a row
  const int64_t *next, *limit, *last;  // places in the order: the next row, those wanted now, all there are
  INLINE void reach(const int64_t* place, int rows) {
    next = next < place ? place : next, limit = last - place < rows ? last : place + rows;
  }
  INLINE void operator()() {
    if (p >= end) {
      if (next >= limit) return;
      p = X + *next++ * bytes, end = p + bytes;
    }
    __builtin_prefetch(p, 0, 2), __builtin_prefetch(p + 64, 0, 2), p += 128;
  }
};

enum class Start { zero, bias, partial };

template <class T>
struct Product {                // one block: its operands and where it goes
  const T* W;
  ptrdiff_t stride;             // between rows, or between k's when transposed
  int run;                      // after so many k's ...
  ptrdiff_t jump;               // ... W goes on so much further: the next tile
  const T* A;
  ptrdiff_t lda;
  int n;                        // k = 0 ... n - 1
  Start start;
  const T* bias;
  ptrdiff_t bias_stride;
  T* out;
  ptrdiff_t ldo;
  const int* hops = nullptr;    // from each four k's to the next that count, and to the end of n
};

enum class Walk {               // through W: k lies along its rows, and all of them count; down its columns; or along
  along, down, hopping          // its rows, from one four that count to the next four
};

template <class T, int R, int C, Walk walk>
__attribute__((noinline)) void block(const Product<T>& q, Ahead& hook) {
  Ahead ahead = hook;                                  // a local copy lives in registers
  ptrdiff_t stride = q.stride;
  const ptrdiff_t lda = q.lda;
  const int* hop = q.hops;
  const T* w[(R + 2) / 3];                             // one pointer for three rows: x86 addresses p + {0, 1, 2} stride
  const T *W = q.W, *A = q.A;
  V<T> acc[R][C];
  if (q.start == Start::zero) {
    UNROLL for (int r = 0; r < R; r++) UNROLL for (int c = 0; c < C; c++) acc[r][c] = set(T(0));
  } else if (q.start == Start::bias) {
    UNROLL for (int r = 0; r < R; r++) UNROLL for (int c = 0; c < C; c++) acc[r][c] = set(q.bias[r * q.bias_stride]);
  } else {
    UNROLL for (int r = 0; r < R; r++) UNROLL for (int c = 0; c < C; c++) acc[r][c] = load(q.out + r * q.ldo + c * L);
  }
  auto step = [&](int u) INLINE_LAMBDA {
    V<T> a[C];
    UNROLL for (int c = 0; c < C; c++) a[c] = load(A + c * L);
    UNROLL for (int r = 0; r < R; r++) {
      V<T> x = set(walk == Walk::down ? W[u * stride + r] : w[r / 3][r % 3 * stride + u]);
      UNROLL for (int c = 0; c < C; c++) acc[r][c] = fma(x, a[c], acc[r][c]);
    }
    A += lda;
  };
  auto advance = [&](int u) INLINE_LAMBDA {
    if constexpr (walk == Walk::down) W += u * stride;
    else UNROLL for (int g = 0; g < (R + 2) / 3; g++) w[g] += u;
  };
  for (int left = q.n; left > 0; left -= q.run, W += q.jump) {
    const int n = left < q.run ? left : q.run;
    UNROLL for (int g = 0; g < (R + 2) / 3; g++) w[g] = W + 3 * g * stride;
    if (left > n)                                      // the next tile's rows are too far for the hardware to foresee
      UNROLL for (int r = 0; r < R; r++)
        UNROLL for (int c = 0; c < S; c += 64 / int(sizeof(T))) __builtin_prefetch(W + q.jump + r * stride + c);
    int k = 0;
    NO_UNROLL for (int next = 4; k + 4 <= n; k += next) {
      ahead();
      asm("" : "+r"(stride));                          // or g++ keeps R pointers, and spills them
      UNROLL for (int u = 0; u < 4; u++) step(u);
      if constexpr (walk == Walk::hopping) next = *hop++, A += (next - 4) * lda;
      advance(next);
    }
    NO_UNROLL for (; k < n; k++) step(0), advance(1);
  }
  UNROLL for (int r = 0; r < R; r++) UNROLL for (int c = 0; c < C; c++) store(q.out + r * q.ldo + c * L, acc[r][c]);
  hook = ahead;
}

// pick<r>() for r = 1 ... most; f(first, how many) for blocks as even as can be
template <int most, int R = 1, class Pick>
INLINE void by_number(int r, Pick&& pick) {
  if constexpr (R < most)
    if (r > R) return by_number<most, R + 1>(r, pick);
  pick.template operator()<R>();
}
template <class F>
INLINE void even_blocks(int n, int most, F&& f) {
  const int blocks = (n + most - 1) / most;
  for (int q = 0; q < blocks; q++) {
    const int i = int((long)n * q / blocks), next = int((long)n * (q + 1) / blocks);
    f(i, next - i);
  }
}

// the blocks of 1, 2 ... rows, by number of vectors
template <class T, Walk walk>
struct Blocks {
  using Block = void (*)(const Product<T>&, Ahead&);
  template <int R>
  static INLINE Block pick(int rows, bool wide) {
    if constexpr (R > 1)
      if (rows < R) return pick<R - 1>(rows, wide);
    return wide ? block<T, R, Shape<T>::cols, walk> : block<T, R, 1, walk>;
  }
};

// `rows` rows, `width` columns (a multiple of L)
template <Walk walk, class T>
INLINE void strip(Product<T> q, int rows, int width, Ahead& ahead) {
  constexpr int wide = Shape<T>::cols * L;
  const auto full = Blocks<T, walk>::template pick<Shape<T>::rows>(rows, true);
  const auto rest = Blocks<T, walk>::template pick<Shape<T>::rows>(rows, false);
  while (width >= wide) full(q, ahead), q.A += wide, q.out += wide, width -= wide;
  while (width > 0) rest(q, ahead), q.A += L, q.out += L, width -= L;
}

// f(first, rows) for blocks as even as can be: 100 = 12 + 13 + 12 + ..., never 14 + ... + 2
template <class T, class F>
INLINE void row_blocks(Span rows, F&& f) {
  const int n = rows.last - rows.first, blocks = (n + Shape<T>::rows - 1) / Shape<T>::rows;
  for (int q = 0; q < blocks; q++) {
    int i = int((long)n * q / blocks), next = int((long)n * (q + 1) / blocks);
    f(rows.first + i, next - i);
  }
}

// f(sample, width) tile by tile; samples are multiples of L
template <class F>
INLINE void tiles(Span samples, F&& f) {
  for (int s = samples.first, w; s < samples.last; s += w) {
    w = S - s % S < samples.last - s ? S - s % S : samples.last - s;
    f(s, w);
  }
}

// features of a tile: the n of the layer, the constant 1, and zeros up to a whole vector
INLINE int padded(int n) { return round_up(n + 1, L); }
INLINE ptrdiff_t tile_size(int n) { return (ptrdiff_t)padded(n) * S; }
template <class T>
INLINE T* at(T* A, int n, int feature, int s) {
  return A + s / S * tile_size(n) + feature * S + s % S;
}
// distance between rows of weights: never a multiple of 1 KB, or rows would meet in the same cache sets
template <class T>
INLINE int leading(int n) {
  int ld = padded(n);
  return ld * sizeof(T) % 1024 ? ld : ld + L;
}

// sixteen columns of A [feature][S] -> rows of panels of `height` samples, the constant 1 included
template <class T>
INLINE void pack(const T* A, int n, T* panels, int height) {
  for (int j = 0; j < padded(n); j += L) {
    T* p = panels + (ptrdiff_t)(j / PANEL) * height * PANEL + j % PANEL;
    V<T> x[L];
    UNROLL for (int q = 0; q < L; q++) x[q] = load(A + (ptrdiff_t)(j + q) * S);
    transpose(x);
    UNROLL for (int q = 0; q < L; q++) store(p + q * PANEL, x[q]);
  }
}

}  // namespace deltarule::DELTARULE_ISA
