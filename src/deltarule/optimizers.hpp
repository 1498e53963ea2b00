// optimizers.hpp: the update rules on lanes; the twin of optimizers.py.
//
//   theta, state <- rule(theta, g, state)      g = dC/dtheta: the mean over the samples, decayed and clipped
//
// The constants of an update come from Python, one row a step, so that schedules and powers of beta have one home.
#pragma once
#include "native/blocks.hpp"
#include "native/program.hpp"

namespace deltarule::DELTARULE_ISA {

template <class T>
struct Parameters {  // theta, the optimiser's state and, where it must be whole before the update, the gradient
  T* theta;
  T* state[3];
  T* gradient;
};

template <class T>
struct Update {      // of one step
  Rule rule;
  T k[CONSTANTS];
  T scale;           // 1 / sum of the weights, and the clipped norm over the norm
  T decay;           // lambda
  T clip;            // of every entry; infinity: none
};

template <class T>
struct Rectangle {   // rows of parameters from theta[offset], ld apart, and the sums over samples that belong to them
  ptrdiff_t offset, ld;
  const T* g;
  ptrdiff_t ldg;
  int rows, width;   // a multiple of L
  int used, decayed; // columns: the others are zeros and stay it; the bias is not decayed
};

// clang-format off
// each takes theta and states where they lie, g, k (the constants) and `decayed`; gives theta's next value
template <class T> struct Sgd {       // theta - eta g                                       k: eta
  INLINE V<T> operator()(const T* w, T* const*, ptrdiff_t, V<T> g, const T* k, V<T>) const { return fnma(set(k[0]), g, load(w)); } };
template <class T> struct Momentum {  // v = mu v + eta g; theta - v                         k: eta, mu
  INLINE V<T> operator()(const T* w, T* const* s, ptrdiff_t i, V<T> g, const T* k, V<T>) const {
    V<T> v = fma(set(k[1]), load(s[0] + i), set(k[0]) * g);
    store(s[0] + i, v);
    return load(w) - v; } };
template <class T> struct Nesterov {  // v = mu v + eta g; theta - (mu v + eta g)            k: eta, mu
  INLINE V<T> operator()(const T* w, T* const* s, ptrdiff_t i, V<T> g, const T* k, V<T>) const {
    V<T> e = set(k[0]) * g, v = fma(set(k[1]), load(s[0] + i), e);
    store(s[0] + i, v);
    return load(w) - fma(set(k[1]), v, e); } };
template <class T> struct Adagrad {   // s = s + g^2; theta - eta g / (sqrt s + eps)         k: eta, eps
  INLINE V<T> operator()(const T* w, T* const* s, ptrdiff_t i, V<T> g, const T* k, V<T>) const {
    V<T> q = fma(g, g, load(s[0] + i));
    store(s[0] + i, q);
    return load(w) - set(k[0]) * g / (sqrt(q) + set(k[1])); } };
template <class T> struct Adadelta {  // s, u = sqrt(r + eps) / sqrt(s + eps) g, r; theta - eta u      k: eta, rho, 1 - rho, eps
  INLINE V<T> operator()(const T* w, T* const* s, ptrdiff_t i, V<T> g, const T* k, V<T>) const {
    const V<T> rho = set(k[1]), rest = set(k[2]), eps = set(k[3]);
    V<T> r = load(s[1] + i), q = fma(rho, load(s[0] + i), rest * g * g);
    V<T> u = sqrt(r + eps) / sqrt(q + eps) * g;
    store(s[0] + i, q), store(s[1] + i, fma(rho, r, rest * u * u));
    return fnma(set(k[0]), u, load(w)); } };
template <class T> struct Rmsprop {   // s = rho s + (1 - rho) g^2; theta - eta g / (sqrt s + eps)     k: eta, rho, 1 - rho, eps
  INLINE V<T> operator()(const T* w, T* const* s, ptrdiff_t i, V<T> g, const T* k, V<T>) const {
    V<T> q = fma(set(k[1]), load(s[0] + i), set(k[2]) * g * g);
    store(s[0] + i, q);
    return load(w) - set(k[0]) * g / (sqrt(q) + set(k[3])); } };

// m = b1 m + (1 - b1) g, s = b2 s + (1 - b2) g^2          k: eta / (1 - b1^t), b1, 1 - b1, b2, 1 - b2, 1 / (1 - b2^t), eps
template <class T>
INLINE V<T> mean(T* const* s, ptrdiff_t i, V<T> g, const T* k) { V<T> m = fma(set(k[1]), load(s[0] + i), set(k[2]) * g); store(s[0] + i, m); return m; }
template <class T>
INLINE V<T> square(T* const* s, ptrdiff_t i, V<T> g, const T* k) { V<T> q = fma(set(k[3]), load(s[1] + i), set(k[4]) * g * g); store(s[1] + i, q); return q; }
template <class T>
INLINE V<T> root(V<T> q, const T* k) { return sqrt(q * set(k[5])) + set(k[6]); }

template <class T> struct Adam {
  INLINE V<T> operator()(const T* w, T* const* s, ptrdiff_t i, V<T> g, const T* k, V<T>) const {
    V<T> m = mean(s, i, g, k), q = square(s, i, g, k);
    return load(w) - set(k[0]) * m / root(q, k); } };
template <class T> struct Adamw {     // theta - eta lambda theta first                      k[7]: eta lambda
  INLINE V<T> operator()(const T* w, T* const* s, ptrdiff_t i, V<T> g, const T* k, V<T> decayed) const {
    V<T> m = mean(s, i, g, k), q = square(s, i, g, k), x = load(w);
    return fnma(set(k[7]) * decayed, x, x) - set(k[0]) * m / root(q, k); } };
template <class T> struct Amsgrad {   // r = max(r, s) in place of s
  INLINE V<T> operator()(const T* w, T* const* s, ptrdiff_t i, V<T> g, const T* k, V<T>) const {
    V<T> m = mean(s, i, g, k), r = max(square(s, i, g, k), load(s[2] + i));
    store(s[2] + i, r);
    return load(w) - set(k[0]) * m / root(r, k); } };
template <class T> struct Nadam {     // theta - (k0 m + k7 g) / root                        k0, k7: eta times the weights of m and g
  INLINE V<T> operator()(const T* w, T* const* s, ptrdiff_t i, V<T> g, const T* k, V<T>) const {
    V<T> m = mean(s, i, g, k), q = square(s, i, g, k);
    return load(w) - fma(set(k[0]), m, set(k[7]) * g) / root(q, k); } };
template <class T> struct Rprop {     // theta - d sign g                                    k: eta, decrease, increase, min, max
  INLINE V<T> operator()(const T* w, T* const* s, ptrdiff_t i, V<T> g, const T* k, V<T>) const {
    const V<T> zero = set(T(0)), one = set(T(1)), before = load(s[0] + i), old = load(s[1] + i);
    auto sign = [=](V<T> x) INLINE_LAMBDA { return pick(x > zero, one, pick(x < zero, -one, x)); };
    V<T> turn = sign(g) * sign(before);  // of signs: the product of two small g may vanish
    V<T> c = pick(turn > zero, set(k[2]), pick(turn < zero, set(k[1]), one));
    V<T> d = c * pick(old > zero, old, set(k[0]));  // 0 before the first update only
    d = min(max(d, set(k[3])), set(k[4])), g = pick(turn < zero, zero, g);
    store(s[0] + i, g), store(s[1] + i, d);
    return fnma(d, sign(g), load(w)); } };
// clang-format on

// the columns in use; what stands in the others counts as 0: an infinite delta times a zero would leave NaN there
template <class T>
INLINE I<T> in_use(const Rectangle<T>& q, int j) { return below<T>(q.used - j) > set(T(0)); }

// `watch` becomes NaN where a gradient or the new theta is not finite
template <class T, class F>
__attribute__((noinline)) void update_by(const Rectangle<T>& rectangle, const Parameters<T>& p, const Update<T>& update, V<T>& watch) {
  const Rectangle<T> q = rectangle;                    // copies that no store can change live in registers
  const Update<T> u = update;
  T *const theta = p.theta, *const state[3] = {p.state[0], p.state[1], p.state[2]};
  const V<T> scale = set(u.scale), decay = set(u.decay), clip = set(u.clip), zero = set(T(0)), one = set(T(1));
  const bool decays = u.decay != 0, clips = u.clip < T(__builtin_inf()), masks = decays || u.rule == Rule::adamw;
  const int ones = masks && q.decayed < q.used ? q.decayed : q.used;  // columns without any mask, in pairs of vectors
  const int plain = (ones < 0 ? 0 : ones < q.width ? ones : q.width) / (2 * L) * (2 * L);
  V<T> seen[4] = {watch, zero, zero, zero};            // four chains: one would wait for its own fma
  auto step = [&](ptrdiff_t i, V<T> g, V<T> decayed, V<T>& seen_next, V<T>& seen_g) INLINE_LAMBDA {
    g = g * scale;
    if (decays) g = fma(decay * decayed, load(theta + i), g);
    if (clips) g = pick(g > clip, clip, pick(g < -clip, -clip, g));
    const V<T> next = F()(theta + i, state, i, g, u.k, decayed);
    seen_next = fma(next, zero, seen_next), seen_g = fma(g, zero, seen_g);
    store(theta + i, next);
  };
  int j = 0;                                           // columns outside: their masks are the same in all rows
  NO_UNROLL for (; j < plain; j += 2 * L)
    NO_UNROLL for (int r = 0; r < q.rows; r++) {
      const ptrdiff_t i = q.offset + r * q.ld + j;
      const T* g = q.g + r * q.ldg + j;
      step(i, load(g), one, seen[0], seen[1]);
      step(i + L, load(g + L), one, seen[2], seen[3]);
    }
  NO_UNROLL for (; j < q.width; j += L) {
    const V<T> decayed = below<T>(q.decayed - j);
    const I<T> used = in_use(q, j);
    NO_UNROLL for (int r = 0; r < q.rows; r++)
      step(q.offset + r * q.ld + j, pick(used, load(q.g + r * q.ldg + j), zero), decayed, seen[0], seen[1]);
  }
  watch = (seen[0] + seen[1]) + (seen[2] + seen[3]);
}

template <class T>
using Updater = void (*)(const Rectangle<T>&, const Parameters<T>&, const Update<T>&, V<T>&);

template <class T>
INLINE Updater<T> updater(Rule rule) {
  switch (rule) {
    case Rule::sgd: return update_by<T, Sgd<T>>;
    case Rule::momentum: return update_by<T, Momentum<T>>;
    case Rule::nesterov: return update_by<T, Nesterov<T>>;
    case Rule::adagrad: return update_by<T, Adagrad<T>>;
    case Rule::adadelta: return update_by<T, Adadelta<T>>;
    case Rule::rmsprop: return update_by<T, Rmsprop<T>>;
    case Rule::adam: return update_by<T, Adam<T>>;
    case Rule::adamw: return update_by<T, Adamw<T>>;
    case Rule::amsgrad: return update_by<T, Amsgrad<T>>;
    case Rule::nadam: return update_by<T, Nadam<T>>;
    case Rule::rprop: return update_by<T, Rprop<T>>;
  }
  return nullptr;
}

// the whole gradient of these rows: scaled, decayed, every entry clipped; in place
template <class T>
__attribute__((noinline)) void finish_gradient(const Rectangle<T>& q, const Parameters<T>& p, const Update<T>& u) {
  const V<T> scale = set(u.scale), clip = set(u.clip);
  for (int j = 0; j < q.width; j += L) {
    const V<T> decay = set(u.decay) * below<T>(q.decayed - j);
    for (int r = 0; r < q.rows; r++) {
      T* g = p.gradient + q.offset + r * q.ld + j;
      V<T> x = pick(in_use(q, j), load(g), set(T(0))) * scale;
      if (u.decay != 0) x = fma(decay, load(p.theta + q.offset + r * q.ld + j), x);
      store(g, pick(x > clip, clip, pick(x < -clip, -clip, x)));
    }
  }
}

}  // namespace deltarule::DELTARULE_ISA
