// functions.hpp: exp, expm1, log, log1p, tanh, sigmoid and softplus on lanes, the same bits on every machine.
//
// Within 4 units in the last place over the whole range, infinities, NaN and signed zeros as in libm. Denormals are
// right too, unless the thread flushes them. What keeps the bits: +, -, *, / and one fma, no table, no approximation of
// the machine's own; NaN meets constants and itself only, and no sign is changed on its way, so it leaves as it came.
//
// The coefficients are the minimax ones for the relative error of the result (Remez's exchange in 60 digits), each
// rounded to T; beside them stands the largest error they make (a float rounds by 6e-8, a double by 1.1e-16).
#pragma once
#include "lanes.hpp"

namespace deltarule::DELTARULE_ISA {

constexpr double LN2 = 0.69314718055994531;

template <class T>
struct Format {
  static constexpr bool single = sizeof(T) == 4;
  static constexpr int digits = single ? 23 : 52, bias = single ? 127 : 1023;  // of the mantissa, of the exponent
  static constexpr double whole = single ? 0x1p23 : 0x1p52;                    // from here on numbers are whole
  static constexpr double smallest = single ? 0x1p-126 : 0x1p-1022;            // normal number
  static constexpr double lowest = single ? -104 : -746;                       // e^lowest rounds to 0
  static constexpr double highest = single ? 89 : 710;                         // e^highest rounds to infinity
  static constexpr double ln2 = T(LN2), ln2_rest = (LN2 - T(LN2)) + 2.3190468138462996e-17;  // their sum is ln 2
};

// c0 + c1 x + c2 x^2 + ...
template <class T>
INLINE V<T> horner(V<T>, double c) {
  return set<T>(c);
}
template <class T, class... C>
INLINE V<T> horner(V<T> x, double c0, C... c) {
  return fma(horner(x, c...), x, set<T>(c0));
}

// n, the whole number nearest to c x, and 2^(n + shift): added to 1.5 2^digits, c x loses its fraction and leaves
// n + shift + bias in the low bits, from where it becomes an exponent
template <class T>
struct Power {
  V<T> n;
  I<T> k;
};
template <class T>
INLINE Power<T> nearest(V<T> x, double c, int shift) {
  const V<T> magic = set<T>(1.5 * Format<T>::whole + Format<T>::bias + shift), s = fma(x, set<T>(c), magic);
  return {s - magic, bits(s)};
}
template <class T>
INLINE V<T> power(I<T> k) {
  return real(k << Format<T>::digits);
}

// x - n ln 2: n ln2 is exact within the fma, so that only the last step rounds
template <class T>
INLINE V<T> remainder(V<T> x, V<T> n) {
  return fma(n, set<T>(-Format<T>::ln2_rest), fma(n, set<T>(-Format<T>::ln2), x));
}

// r >= 0, or of x's sign, with the sign of x
template <class T>
INLINE V<T> with_sign(V<T> r, V<T> x) {
  return real(bits(r) | (bits(x) & bits(set<T>(-0.0))));
}

// (e^r - 1 - r) / r^2 for |r| <= ln2 / 2; error 1.7e-8, 3.4e-17
template <class T>
INLINE V<T> exp_tail(V<T> r) {
  if constexpr (sizeof(T) == 4)
    return horner(r, 0.499999970, 0.166665435, 0.0416672006, 0.00836652052, 0.00138825213);
  else
    return horner(r, 0.50000000000000056, 0.16666666666666588, 0.041666666666576757, 0.0083333333333895504,
                  0.0013888888931564945, 0.00019841269719008027, 2.4801505273707669e-5, 2.7557407542032883e-6,
                  2.7626037922483781e-7, 2.5053775085072447e-8);
}

// r coth(h r) = 1/h + h r^2 / 3 - h^3 r^4 / 45 + ... for h |r| <= ln2 / 4, from z = r^2; error 2.2e-9, 8.5e-19
template <class T>
INLINE V<T> r_coth(V<T> z, double h) {
  const double h3 = h * h * h, h5 = h3 * h * h, h7 = h5 * h * h, h9 = h7 * h * h;
  if constexpr (sizeof(T) == 4)
    return horner(z, 1 / h, h * 0.333332509, h3 * -0.0221337024);
  else
    return horner(z, 1 / h, h * 0.33333333333333204, h3 * -0.022222222221610938, h5 * 0.0021164020227037216,
                  h7 * -0.00021163394159596111, h9 * 2.1187161636183353e-5);
}

// 2/3 + 2/5 z + 2/7 z^2 + ... = (2 artanh(s) / s - 2) / z, z = s^2, |s| <= (sqrt 2 - 1)^2; error 8.2e-10, 1.3e-18
template <class T>
INLINE V<T> artanh_tail(V<T> z) {
  if constexpr (sizeof(T) == 4)
    return horner(z, 0.666667759, 0.399775684, 0.298714608);
  else
    return horner(z, 0.66666666666667351, 0.39999999999409352, 0.28571428743686583, 0.22222198428974138,
                  0.18183572354090918, 0.15313832225510307, 0.14798257766703343);
}

// e^x = 2^n e^r, n = round(x / ln 2), r = x - n ln 2; 2^n as two factors, since neither 2^128 nor 2^-150 is a float
template <class T>
INLINE V<T> exp(V<T> x) {
  const V<T> one = set<T>(1);
  x = min(set<T>(Format<T>::highest), max(set<T>(Format<T>::lowest), x));
  const Power<T> p = nearest(x, 1 / LN2, Format<T>::bias), half = nearest(x, 0.5 / LN2, 0);
  const V<T> r = remainder(x, p.n);
  return fma(fma(exp_tail(r), r, one), r, one) * power(half.k) * power(p.k - half.k);
}

// e^x - 1 = 2^n E + (2^n - 1), E = e^r - 1 = r + r^2 exp_tail(r); by halves, since 2^128 is no float
template <class T>
INLINE V<T> expm1(V<T> x) {
  const V<T> y = min(set<T>(Format<T>::highest), max(set<T>(-40), x));
  const Power<T> p = nearest(y, 1 / LN2, -1);
  const V<T> r = remainder(y, p.n), u = power(p.k), E = fma(r * r, exp_tail(r), r), half = fma(u, E, u - set<T>(0.5));
  return with_sign(pick(p.n == set<T>(0), E, half + half), x);
}

// tanh |x| = P / (P + 2D) with u = 2^n, n = round(2 |x| / ln 2), t = |x| - n ln2 / 2, Q = t coth t:
//   e^{2t} = (Q + t) / D, D = Q - t;  P = u (Q + t) - D = (u - 1) Q + (u + 1) t
// Never above 1, and near 1 P's rounding cancels. One constant does for ln2 / 2: it costs at most 0.3 units, at n = 1.
template <class T>
INLINE V<T> tanh(V<T> x) {
  const V<T> a = min(set<T>(20), abs(x));  // tanh 20 rounds to 1
  const Power<T> p = nearest(a, 2 / LN2, 0);
  const V<T> t = fma(p.n, set<T>(-LN2 / 2), a), Q = r_coth(t * t, 1), u = power(p.k);
  const V<T> P = fma(u - set<T>(1), Q, fma(u, t, t));
  return with_sign(P / fma(set<T>(2), Q - t, P), x);
}

// 1 / (1 + e^-x) = u N / (u N + D) with u = 2^n, n = round(x / ln 2), r = x - n ln 2, R = r coth(r/2):
//   e^r = N / D, N = R + r, D = R - r
// u comes 2^shift too large and N too small, so that u is a number even where the quotient is denormal.
template <class T>
INLINE V<T> sigmoid(V<T> x) {
  constexpr int shift = Format<T>::digits + 1;
  x = min(set<T>(40), max(set<T>(Format<T>::lowest), x));  // 1 / (1 + e^-40) rounds to 1
  const Power<T> p = nearest(x, 1 / LN2, shift);
  const V<T> r = remainder(x, p.n), R = r_coth(r * r, 0.5), u = power(p.k);
  const V<T> N = (R + r) * set<T>(0.5 / Format<T>::whole);
  return N / fma(N, u, R - r) * u;
}

// v = 2^n (1 + f), 1 + f in [sqrt(1/2), sqrt(2)), for v > 0 and normal; scale = 2^-n
template <class T>
struct Parts {
  V<T> n, f, scale;
};
template <class T>
INLINE Parts<T> parts(V<T> v) {
  const I<T> one = bits(set<T>(1));
  const I<T> e = (bits(v) + (one - bits(set<T>(0.70710678118654752)))) & bits(set<T>(__builtin_inf()));  // of 2^n
  const V<T> n = real((e >> Format<T>::digits) | bits(set<T>(Format<T>::whole)));  // AVX2 cannot convert int64
  return {n - set<T>(Format<T>::whole + Format<T>::bias), real(bits(v) - e + one) - set<T>(1), real(one + one - e)};
}

// n ln 2 + log(1 + f), log(1 + f) = 2 artanh s = 2s + s z tail(z) = f - s (f - z tail(z)), s = f / (2 + f), z = s^2
template <class T>
INLINE V<T> log_of(V<T> n, V<T> f) {
  const V<T> s = f / (f + set<T>(2)), z = s * s;
  const V<T> bend = s * (f - z * artanh_tail(z));  // no fma: if it is tiny, every machine must flush it alike
  return fma(n, set<T>(Format<T>::ln2), fma(n, set<T>(Format<T>::ln2_rest), f) - bend);
}

// r = log v where v is positive; -inf at 0, NaN below; x, infinite or NaN, passes
template <class T>
INLINE V<T> where_defined(V<T> v, V<T> r, V<T> x) {
  r = pick(x < set<T>(__builtin_inf()), r, x);
  r = pick(v == set<T>(0), set<T>(-__builtin_inf()), r);
  return pick(v < set<T>(0), set<T>(__builtin_nan("")), r);
}

template <class T>
INLINE V<T> log(V<T> x) {
  const I<T> tiny = x < set<T>(Format<T>::smallest);  // denormal: 2^digits x is not
  const Parts<T> p = parts(pick(tiny, x * set<T>(Format<T>::whole), x));
  return where_defined(x, log_of(pick(tiny, p.n - set<T>(Format<T>::digits), p.n), p.f), x);
}

// log(1 + x) = log(v + c), v = 1 + x rounded, c = x - (v - 1) what it lost; c is nothing beside a large v
template <class T>
INLINE V<T> log1p(V<T> x) {
  const V<T> v = x + set<T>(1), c = x - (v - set<T>(1));
  const Parts<T> p = parts(v);
  const V<T> f = pick(v < set<T>(0x1p60), fma(c, p.scale, p.f), p.f);
  return where_defined(v, with_sign(log_of(p.n, f), x), x);
}

// log(1 + e^x) = max(x, 0) + log(1 + e), e = e^-|x|; past sqrt(2), 1 + e = 2 (1 + f), f = (e - 1) / 2
template <class T>
INLINE V<T> softplus(V<T> x) {
  const V<T> e = exp(-abs(x)), half = set<T>(0.5);
  const I<T> past = e > set<T>(0.41421356237309505);
  const V<T> r = log_of(pick(past, set<T>(1), set<T>(0)), pick(past, fma(half, e, -half), e));
  return pick(x == x, max(set<T>(0), x) + r, x);
}

}  // namespace deltarule::DELTARULE_ISA
