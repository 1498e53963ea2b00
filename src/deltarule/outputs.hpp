// outputs.hpp: where the last layer's activation meets the cost, 16 samples at a time; the twin of outputs.py and costs.py.
//
//   values   y = f(z)
//   delta    d = w dC/dz and C of every sample, from the net values z; canonical pairs share d = y - t
//
// Columns of 16 samples: z and d S numbers apart, y and t (targets) L apart.
#pragma once
#include "activations.hpp"

namespace deltarule::DELTARULE_ISA {

template <class T>
struct Output {
  int n;
  Activation<T> activation;
  bool canonical;
  Cost cost;
  T parameter;  // of the cost: a threshold, a quantile

  // y_k = e^{z_k - top} / sum_j e^{z_j - top}; returns ln sum_j e^{z_j - top}
  __attribute__((noinline)) void softmax(const T* z, T* y, V<T>& top, V<T>& total) const {
    top = load(z), total = set(T(0));
    for (int k = 1; k < n; k++) top = max(load(z + k * S), top);
    for (int k = 0; k < n; k++) {
      V<T> e = exp(load(z + k * S) - top);
      store(y + k * L, e), total = total + e;
    }
    for (int k = 0; k < n; k++) store(y + k * L, load(y + k * L) / total);
  }

  void values(const T* z, T* y) const {
    V<T> top, total;
    if (activation.f == Function::softmax) return softmax(z, y, top, total);
    for (int k = 0; k < n; k++) activation.activate(z + k * S, y + k * L, 1, L);
  }

  // C of one output from its logit, for the canonical pairs but softmax
  __attribute__((noinline)) V<T> canonical_cost(const T* z, const T* y, const T* t) const {
    V<T> c = set(T(0));
    for (int k = 0; k < n; k++) {
      V<T> x = load(z + k * S), want = load(t + k * L);
      if (cost == Cost::binary_cross_entropy)  // max(z, 0) - t z + ln(1 + e^{-|z|})
        c = c + (fnma(want, x, max(x, set(T(0)))) + log1p(exp(-abs(x))));
      else if (cost == Cost::poisson)
        c = c + fnma(want, x, load(y + k * L));
      else {
        V<T> e = x - want;
        c = fma(set(T(.5)) * e, e, c);
      }
    }
    return c;
  }

  // C and dC/dy of one output with error e = y - t
  INLINE V<T> generic(V<T> e, V<T>& slope) const {
    const V<T> zero = set(T(0)), one = set(T(1)), p = set(parameter), size = abs(e);
    if (cost == Cost::absolute) {
      slope = pick(e > zero, one, pick(e < zero, -one, e));  // NaN stays
      return size;
    }
    if (cost == Cost::huber) {  // c = min(|e|, d): c (|e| - c / 2)
      V<T> c = min(size, p);
      slope = max(min(e, p), -p);
      return c * fnma(set(T(.5)), c, size);
    }
    if (cost == Cost::quantile) {
      slope = pick(e > zero, one - p, pick(e < zero, -p, e));
      return slope * e;
    }
    slope = e;
    return set(T(.5)) * e * e;
  }

  // C of 16 samples; d <- w dC/dz, 0 where the weight is 0
  __attribute__((noinline)) V<T> delta(const T* z, T* y, const T* t, V<T> w, T* d) const {
    V<T> c = set(T(0)), top, total;
    const I<T> counts = w > set(T(0));
    if (activation.f == Function::softmax) softmax(z, y, top, total);
    else values(z, y);
    if (canonical) {
      if (activation.f == Function::softmax) {
        const V<T> norm = log(total);
        for (int k = 0; k < n; k++) c = fma(load(t + k * L), norm - (load(z + k * S) - top), c);
      } else {
        c = canonical_cost(z, y, t);
      }
      for (int k = 0; k < n; k++) store(d + k * S, load(y + k * L) - load(t + k * L));
    } else {
      V<T> mean = set(T(0));  // of the slopes by y: softmax's Jacobian is y (slope - mean)
      for (int k = 0; k < n; k++) {
        V<T> slope, want = load(t + k * L), a = load(y + k * L);
        c = c + generic(a - want, slope);
        mean = fma(a, slope, mean), store(d + k * S, slope);
      }
      for (int k = 0; k < n; k++) {
        if (activation.f == Function::softmax) store(d + k * S, load(y + k * L) * (load(d + k * S) - mean));
        else activation.through(z + k * S, y + k * L, d + k * S, 1, L);
      }
    }
    for (int k = 0; k < n; k++) store(d + k * S, pick(counts, w * load(d + k * S), set(T(0))));
    return c;
  }
};

}  // namespace deltarule::DELTARULE_ISA
