// gather.hpp: rows of X (uint8, float32 or float64, wherever they lie) into the engine's layouts.
//
// Inputs are often zero: the edge of an image, words that a text does not have. Where all samples at work have a zero a
// product with it changes no sum (of finite numbers, but for the sign of a zero), so it need not be made: `seen` tells
// where there is anything.
#pragma once
#include "stage.hpp"

namespace deltarule::DELTARULE_ISA {

// sixteen numbers of X; uint8 means x / 255, rounded once: x/255 = q + (x - 255 q)/255 with q near
template <class T, class X>
INLINE V<T> numbers(const X* p) {
  const V<T> x = convert<T>(p);
  if constexpr (sizeof(X) == 1) {
    const V<T> inverse = set(T(1) / 255), near = x * inverse;
    return fma(fnma(near, set(T(255)), x), inverse, near);
  }
  return x;
}
// those from feature j on, the constant 1 behind the last, and zeros
template <class T, class X>
INLINE V<T> last_numbers(const X* row, int n, int j) {
  V<T> x;
  if constexpr (sizeof(X) == sizeof(T)) {
    x = load_some(reinterpret_cast<const T*>(row + j), n - j);
  } else {
    X p[L] = {};
    for (int q = 0; j + q < n; q++) p[q] = row[j + q];
    x = numbers<T, X>(p);
  }
  return x + (below<T>(n - j + 1) - below<T>(n - j));
}

using Seen = uint16_t;  // of sixteen features: bit k is set where some sample's feature k is not zero

// features [j, end) of sixteen rows -> A [feature][S] and, where they are wanted, panels and what was seen
template <class T>
using Gather = void (*)(const char* const* rows, int n, int j, int end, T* A, T* panels, int height, Seen* seen);

template <class T, class X>
__attribute__((noinline)) void gather_from(const char* const* rows, int n, int j0, int end, T* A, T* panels, int height, Seen* seen) {
  for (int j = j0; j < end; j += L) {
    V<T> x[L];
    if (j + L <= n) {
      UNROLL for (int q = 0; q < L; q++) x[q] = numbers<T, X>(reinterpret_cast<const X*>(rows[q]) + j);
    } else {
      NO_UNROLL for (int q = 0; q < L; q++) x[q] = last_numbers<T, X>(reinterpret_cast<const X*>(rows[q]), n, j);
    }
    if (panels) {
      T* p = panels + (ptrdiff_t)(j / PANEL) * height * PANEL + j % PANEL;
      UNROLL for (int q = 0; q < L; q++) store(p + q * PANEL, x[q]);
    }
    if (seen) {
      I<T> any = bits(x[0]);
      UNROLL for (int q = 1; q < L; q++) any = any | bits(x[q]);
      seen[(j - j0) / L] |= Seen(marks<T>(any));
    }
    transpose(x);
    UNROLL for (int q = 0; q < L; q++) store(A + (ptrdiff_t)(j - j0 + q) * S, x[q]);
  }
}

// one whole row, one number after the other
template <class T>
using Copy = void (*)(const char* row, int n, T* x);
template <class T, class X>
__attribute__((noinline)) void copy_from(const char* row, int n, T* x) {
  const X* p = reinterpret_cast<const X*>(row);
  int j = 0;
  for (; j + L <= n; j += L) store(x + j, numbers<T, X>(p + j));
  store(x + j, last_numbers<T, X>(p, n, j));
}

template <class T>
INLINE Gather<T> gatherer(Element e) {
  return e == Element::uint8 ? gather_from<T, uint8_t> : e == Element::float32 ? gather_from<T, float> : gather_from<T, double>;
}
template <class T>
INLINE Copy<T> copier(Element e) {
  return e == Element::uint8 ? copy_from<T, uint8_t> : e == Element::float32 ? copy_from<T, float> : copy_from<T, double>;
}

// X itself as a stage, for a first layer that does not gather its own
template <class T>
struct Input : Stage<T> {
  Gather<T> gather;
  void place(Arena& arena, int samples, bool) override { this->place_activity(arena, samples, false, false); }
  void forward(const Batch<T>& batch, Worker<T>&, Span, Span samples) override {
    for (int s = samples.first; s < samples.last; s += L) {
      if (batch.data->tokens) {                        // for layers that take none: 1 in the place of the token
        T* x = at(this->a, this->n_out, 0, s);
        for (int i = 0; i < this->n_out; i++) store(x + i * S, set(T(0)));
        for (int q = 0; q < L; q++) x[batch.token(s + q) * S + q] = T(1);
        continue;
      }
      const char* rows[L];
      for (int q = 0; q < L; q++) rows[q] = batch.x(s + q);
      gather(rows, this->n_out, 0, padded(this->n_out), at(this->a, this->n_out, 0, s), nullptr, 0, nullptr);
    }
  }
  void backward(const Batch<T>&, Worker<T>&, Span, Span) override {}
};

}  // namespace deltarule::DELTARULE_ISA
