// activations.hpp: f and f' on lanes; the twin of activations.py.
//
//   activate   a = f(z)                   a block of rows, S numbers apart, `width` columns
//   through    d <- f'(z) d               f' in terms of z and a
#pragma once
#include "native/blocks.hpp"
#include "native/functions.hpp"
#include "native/program.hpp"

namespace deltarule::DELTARULE_ISA {

// Whether f' looks at z, so that z must be kept beside a
INLINE bool needs_z(Function f) {
  return f == Function::leaky_relu || f == Function::elu || f == Function::softplus || f == Function::swish || f == Function::gelu;
}

// clang-format off
template <class T> struct Identity { INLINE V<T> f(V<T> z, V<T>) const { return z; }
                                     INLINE V<T> derivative(V<T>, V<T>, V<T>) const { return set(T(1)); } };
template <class T> struct Sigmoid { INLINE V<T> f(V<T> z, V<T>) const { return sigmoid(z); }
                                    INLINE V<T> derivative(V<T>, V<T> a, V<T>) const { return a * (set(T(1)) - a); } };
template <class T> struct Tanh { INLINE V<T> f(V<T> z, V<T>) const { return tanh(z); }
                                 INLINE V<T> derivative(V<T>, V<T> a, V<T>) const { return fnma(a, a, set(T(1))); } };
template <class T> struct ScaledTanh {  // A tanh(S z), (S / A) (A - a) (A + a)
  static constexpr double A = 1.7159, slope = 2. / 3;
  INLINE V<T> f(V<T> z, V<T>) const { return set(T(A)) * tanh(set(T(slope)) * z); }
  INLINE V<T> derivative(V<T>, V<T> a, V<T>) const { return set(T(slope / A)) * (set(T(A)) - a) * (set(T(A)) + a); } };
template <class T> struct ReLU { INLINE V<T> f(V<T> z, V<T>) const { return max(z, set(T(0))); }
                                 INLINE V<T> derivative(V<T>, V<T> a, V<T>) const { return pick(a > set(T(0)), set(T(1)), set(T(0))); } };
template <class T> struct LeakyReLU { INLINE V<T> f(V<T> z, V<T> slope) const { return pick(z > set(T(0)), z, slope * z); }
                                      INLINE V<T> derivative(V<T> z, V<T>, V<T> slope) const { return pick(z > set(T(0)), set(T(1)), slope); } };
template <class T> struct ELU { INLINE V<T> f(V<T> z, V<T> alpha) const { return pick(z > set(T(0)), z, alpha * expm1(min(z, set(T(0))))); }
                                INLINE V<T> derivative(V<T> z, V<T> a, V<T> alpha) const { return pick(z > set(T(0)), set(T(1)), a + alpha); } };
template <class T> struct Softplus { INLINE V<T> f(V<T> z, V<T>) const { return softplus(z); }
                                     INLINE V<T> derivative(V<T> z, V<T>, V<T>) const { return sigmoid(z); } };
template <class T> struct Swish {  // s = sigmoid(z): z s, s + a (1 - s)
  INLINE V<T> f(V<T> z, V<T>) const { return z * sigmoid(z); }
  INLINE V<T> derivative(V<T> z, V<T> a, V<T>) const { V<T> s = sigmoid(z); return fma(a, set(T(1)) - s, s); } };
template <class T> struct GELU {  // s = sigmoid(2u), u = sqrt(2 / pi) (z + 0.044715 z^3): z s, s + 2 a (1 - s) u'
  static constexpr double root = 0.7978845608028654, cubic = 0.044715;
  INLINE V<T> s(V<T> z) const { return sigmoid(set(T(2 * root)) * fma(set(T(cubic)) * z * z, z, z)); }
  INLINE V<T> f(V<T> z, V<T>) const { return z * s(z); }
  INLINE V<T> derivative(V<T> z, V<T> a, V<T>) const {
    V<T> q = s(z), du = set(T(root)) * fma(set(T(3 * cubic)) * z, z, set(T(1)));
    return fma(set(T(2)) * a * (set(T(1)) - q), du, q); } };
template <class T> struct Exp { INLINE V<T> f(V<T> z, V<T>) const { return exp(z); }
                                INLINE V<T> derivative(V<T>, V<T> a, V<T>) const { return a; } };
// clang-format on

template <class T, class F>
__attribute__((noinline)) void activate_by(T parameter, const T* z, T* a, int rows, int width) {
  const V<T> p = set(parameter);
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < width; c += L) store(a + r * S + c, F().f(load(z + r * S + c), p));
}
template <class T, class F>
__attribute__((noinline)) void through_by(T parameter, const T* z, const T* a, T* d, int rows, int width) {
  const V<T> p = set(parameter);
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < width; c += L) {
      const int k = r * S + c;
      store(d + k, F().derivative(load(z + k), load(a + k), p) * load(d + k));
    }
}

// g<F<T>>() for the elementwise activation f; softmax has a Jacobian and stands in outputs.hpp
template <class T, class G>
INLINE void with_function(Function f, G&& g) {
  switch (f) {
    case Function::identity: return g.template operator()<Identity<T>>();
    case Function::sigmoid: return g.template operator()<Sigmoid<T>>();
    case Function::tanh: return g.template operator()<Tanh<T>>();
    case Function::scaled_tanh: return g.template operator()<ScaledTanh<T>>();
    case Function::relu: return g.template operator()<ReLU<T>>();
    case Function::leaky_relu: return g.template operator()<LeakyReLU<T>>();
    case Function::elu: return g.template operator()<ELU<T>>();
    case Function::softplus: return g.template operator()<Softplus<T>>();
    case Function::swish: return g.template operator()<Swish<T>>();
    case Function::gelu: return g.template operator()<GELU<T>>();
    case Function::exp: return g.template operator()<Exp<T>>();
    case Function::softmax: return;
  }
}

template <class T>
struct Activation {
  Function f;
  T parameter;
  void activate(const T* z, T* a, int rows, int width) const {
    with_function<T>(f, [&]<class F>() { activate_by<T, F>(parameter, z, a, rows, width); });
  }
  void through(const T* z, const T* a, T* d, int rows, int width) const {
    if (f == Function::identity) return;
    with_function<T>(f, [&]<class F>() { through_by<T, F>(parameter, z, a, d, rows, width); });
  }
};

}  // namespace deltarule::DELTARULE_ISA
