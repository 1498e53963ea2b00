// lanes.hpp: sixteen numbers at a time, the same bits on every machine.
//
//   V<float>, V<double>   16 lanes: 1 or 2 registers with AVX-512, 2 or 4 with AVX2, 4 or 8 with NEON
//   I<T>                  16 whole numbers as wide as T, and the answers of comparisons (-1 yes, 0 no)
//
// The rules that keep the bits: one explicit fma and no contraction (-ffp-contract=off), no approximate instruction
// (rcp and rsqrt differ between machines), +, -, *, /, sqrt correctly rounded, every sum over lanes the same tree.
// A translation unit is compiled once an instruction set, into a namespace of its own (DELTARULE_ISA), and uses neither
// std:: templates nor inline functions with external linkage: the linker may keep one machine's copy for all.
#pragma once
#include <stddef.h>
#include <stdint.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define INLINE inline __attribute__((always_inline))
#define INLINE_LAMBDA __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 64")
#define NO_UNROLL _Pragma("GCC unroll 1")

namespace deltarule::DELTARULE_ISA {

constexpr int L = 16;  // lanes of a V, always

#if defined(__AVX512F__)
constexpr int REGISTER = 64, REGISTERS = 32;  // bytes of one, and how many there are
#elif defined(__AVX2__)
constexpr int REGISTER = 32, REGISTERS = 16;
#else
constexpr int REGISTER = 16, REGISTERS = 32;
#endif

template <class T>
struct Whole;
template <>
struct Whole<float> {
  using type = int32_t;
  using natural = uint32_t;
};
template <>
struct Whole<double> {
  using type = int64_t;
  using natural = uint64_t;
};

template <class T>
struct Hardware {  // one register: of T, and of whole numbers
  typedef T real __attribute__((vector_size(REGISTER), may_alias));
  typedef typename Whole<T>::type whole __attribute__((vector_size(REGISTER), may_alias));
  typedef typename Whole<T>::natural natural __attribute__((vector_size(REGISTER), may_alias));
  static constexpr int lanes = REGISTER / sizeof(T), count = L / lanes;
};

template <class T>
struct I {
  using H = typename Hardware<T>::whole;
  using M = typename Hardware<T>::natural;  // sums go modulo 2^n
  static constexpr int N = Hardware<T>::count;
  H h[N];
};
template <class T>
struct V {
  using H = typename Hardware<T>::real;
  static constexpr int N = Hardware<T>::count;
  H h[N];
};

// fma, sqrt, max and min of one register; max(a, b) = a > b ? a : b and min(a, b) = a < b ? a : b: b where one is NaN
#if defined(__AVX512F__)
INLINE __m512 max_(__m512 a, __m512 b) { return _mm512_max_ps(a, b); }
INLINE __m512d max_(__m512d a, __m512d b) { return _mm512_max_pd(a, b); }
INLINE __m512 min_(__m512 a, __m512 b) { return _mm512_min_ps(a, b); }
INLINE __m512d min_(__m512d a, __m512d b) { return _mm512_min_pd(a, b); }
INLINE __m512 fma_(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(a, b, c); }
INLINE __m512d fma_(__m512d a, __m512d b, __m512d c) { return _mm512_fmadd_pd(a, b, c); }
INLINE __m512 sqrt_(__m512 a) { return _mm512_sqrt_ps(a); }
INLINE __m512d sqrt_(__m512d a) { return _mm512_sqrt_pd(a); }
#elif defined(__AVX2__)
INLINE __m256 max_(__m256 a, __m256 b) { return _mm256_max_ps(a, b); }
INLINE __m256d max_(__m256d a, __m256d b) { return _mm256_max_pd(a, b); }
INLINE __m256 min_(__m256 a, __m256 b) { return _mm256_min_ps(a, b); }
INLINE __m256d min_(__m256d a, __m256d b) { return _mm256_min_pd(a, b); }
INLINE __m256 fma_(__m256 a, __m256 b, __m256 c) { return _mm256_fmadd_ps(a, b, c); }
INLINE __m256d fma_(__m256d a, __m256d b, __m256d c) { return _mm256_fmadd_pd(a, b, c); }
INLINE __m256 sqrt_(__m256 a) { return _mm256_sqrt_ps(a); }
INLINE __m256d sqrt_(__m256d a) { return _mm256_sqrt_pd(a); }
#elif defined(__aarch64__)
template <class H>
INLINE H max_(H a, H b) { return a > b ? a : b; }
template <class H>
INLINE H min_(H a, H b) { return a < b ? a : b; }
INLINE float32x4_t fma_(float32x4_t a, float32x4_t b, float32x4_t c) { return vfmaq_f32(c, a, b); }
INLINE float64x2_t fma_(float64x2_t a, float64x2_t b, float64x2_t c) { return vfmaq_f64(c, a, b); }
INLINE float32x4_t sqrt_(float32x4_t a) { return vsqrtq_f32(a); }
INLINE float64x2_t sqrt_(float64x2_t a) { return vsqrtq_f64(a); }
#else
#error "deltarule's kernels need fma: x86-64-v3, x86-64-v4 or aarch64"
#endif

// one register of T from as many uint8, float or double at p (g++ 12 by itself converts them one at a time)
#if defined(__AVX512F__)
INLINE __m512 converted_(const uint8_t* p, float) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p))); }
INLINE __m512d converted_(const uint8_t* p, double) { return _mm512_cvtepi32_pd(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)p))); }
INLINE __m512 converted_(const double* p, float) {
  return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(_mm512_loadu_pd(p))), _mm512_cvtpd_ps(_mm512_loadu_pd(p + 8)), 1);
}
INLINE __m512d converted_(const float* p, double) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
#elif defined(__AVX2__)
INLINE __m256 converted_(const uint8_t* p, float) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)p))); }
INLINE __m256d converted_(const uint8_t* p, double) { return _mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_loadu_si32(p))); }
INLINE __m256 converted_(const double* p, float) { return _mm256_set_m128(_mm256_cvtpd_ps(_mm256_loadu_pd(p + 4)), _mm256_cvtpd_ps(_mm256_loadu_pd(p))); }
INLINE __m256d converted_(const float* p, double) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
#else
template <class X, class T>
INLINE typename Hardware<T>::real converted_(const X* p, T) {
  typename Hardware<T>::real r;
  UNROLL for (int k = 0; k < Hardware<T>::lanes; k++) r[k] = T(p[k]);
  return r;
}
#endif

#define EACH(R, expression)                            \
  R r;                                                 \
  UNROLL for (int k = 0; k < R::N; k++) r.h[k] = (expression); \
  return r

template <class T>
INLINE V<T> load(const T* p) {
  V<T> r;
  UNROLL for (int k = 0; k < V<T>::N; k++) __builtin_memcpy(&r.h[k], p + k * Hardware<T>::lanes, REGISTER);
  return r;
}
template <class T, class X>
INLINE V<T> convert(const X* p) {
  if constexpr (sizeof(X) == sizeof(T)) return load(p);
  else {
    EACH(V<T>, converted_(p + k * Hardware<T>::lanes, T(0)));
  }
}
template <class T>
INLINE void store(T* p, V<T> x) {
  UNROLL for (int k = 0; k < V<T>::N; k++) __builtin_memcpy(p + k * Hardware<T>::lanes, &x.h[k], REGISTER);
}
template <class T>
INLINE typename Hardware<T>::real broadcast(T x) {  // not 0 + x, which costs an addition
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) return (typename Hardware<T>::real)_mm512_set1_ps(x);
  else return (typename Hardware<T>::real)_mm512_set1_pd(x);
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) return (typename Hardware<T>::real)_mm256_set1_ps(x);
  else return (typename Hardware<T>::real)_mm256_set1_pd(x);
#else
  if constexpr (sizeof(T) == 4) return (typename Hardware<T>::real)vdupq_n_f32(x);
  else return (typename Hardware<T>::real)vdupq_n_f64(x);
#endif
}
template <class T>
INLINE V<T> set(T x) {
  auto b = broadcast(x);
  EACH(V<T>, b);
}
template <class T>
INLINE I<T> whole(typename Whole<T>::type x) {
  typename I<T>::H b = x - typename I<T>::H{};
  EACH(I<T>, b);
}

// clang-format off
template <class T> INLINE V<T> operator+(V<T> a, V<T> b) { EACH(V<T>, a.h[k] + b.h[k]); }
template <class T> INLINE V<T> operator-(V<T> a, V<T> b) { EACH(V<T>, a.h[k] - b.h[k]); }
template <class T> INLINE V<T> operator*(V<T> a, V<T> b) { EACH(V<T>, a.h[k] * b.h[k]); }
template <class T> INLINE V<T> operator/(V<T> a, V<T> b) { EACH(V<T>, a.h[k] / b.h[k]); }
template <class T> INLINE V<T> operator-(V<T> a) { EACH(V<T>, -a.h[k]); }
template <class T> INLINE V<T> fma(V<T> a, V<T> b, V<T> c) { EACH(V<T>, fma_(a.h[k], b.h[k], c.h[k])); }    //  a b + c
template <class T> INLINE V<T> fnma(V<T> a, V<T> b, V<T> c) { EACH(V<T>, fma_(-a.h[k], b.h[k], c.h[k])); }  // -a b + c
template <class T> INLINE V<T> sqrt(V<T> a) { EACH(V<T>, sqrt_(a.h[k])); }
template <class T> INLINE I<T> operator>(V<T> a, V<T> b) { EACH(I<T>, a.h[k] > b.h[k]); }
template <class T> INLINE I<T> operator<(V<T> a, V<T> b) { EACH(I<T>, a.h[k] < b.h[k]); }
template <class T> INLINE I<T> operator==(V<T> a, V<T> b) { EACH(I<T>, a.h[k] == b.h[k]); }
template <class T> INLINE V<T> pick(I<T> yes, V<T> a, V<T> b) { EACH(V<T>, yes.h[k] ? a.h[k] : b.h[k]); }
template <class T> INLINE V<T> max(V<T> a, V<T> b) { EACH(V<T>, max_(a.h[k], b.h[k])); }
template <class T> INLINE V<T> min(V<T> a, V<T> b) { EACH(V<T>, min_(a.h[k], b.h[k])); }

template <class T> INLINE I<T> bits(V<T> a) { EACH(I<T>, (typename I<T>::H)a.h[k]); }
template <class T> INLINE V<T> real(I<T> a) { EACH(V<T>, (typename V<T>::H)a.h[k]); }  // the same bits as numbers
template <class T> INLINE I<T> operator+(I<T> a, I<T> b) { EACH(I<T>, (typename I<T>::H)((typename I<T>::M)a.h[k] + (typename I<T>::M)b.h[k])); }
template <class T> INLINE I<T> operator-(I<T> a, I<T> b) { EACH(I<T>, (typename I<T>::H)((typename I<T>::M)a.h[k] - (typename I<T>::M)b.h[k])); }
template <class T> INLINE I<T> operator&(I<T> a, I<T> b) { EACH(I<T>, a.h[k] & b.h[k]); }
template <class T> INLINE I<T> operator|(I<T> a, I<T> b) { EACH(I<T>, a.h[k] | b.h[k]); }
template <class T> INLINE I<T> operator<<(I<T> a, int n) { EACH(I<T>, a.h[k] << n); }
template <class T> INLINE I<T> operator>>(I<T> a, int n) { EACH(I<T>, a.h[k] >> n); }  // the sign is kept
template <class T> INLINE V<T> number(I<T> a) { EACH(V<T>, __builtin_convertvector(a.h[k], typename V<T>::H)); }
template <class T> INLINE V<T> abs(V<T> a) { return real(bits(a) & whole<T>(~(typename Whole<T>::natural(1) << (8 * sizeof(T) - 1)))); }
// clang-format on

// 1 in the first n lanes, 0 in the others
template <class T>
INLINE V<T> below(int n) {
  alignas(64) static constexpr T lanes[L] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return pick(load(lanes) < set(T(n)), set(T(1)), set(T(0)));
}
// n numbers, fewer than sixteen, and zeros; what lies behind them is not touched
template <class T>
INLINE V<T> load_some(const T* p, int n) {
  T x[L] = {};
  for (int k = 0; k < n; k++) x[k] = p[k];
  return load(x);
}
#if defined(__AVX512F__)
INLINE V<float> load_some(const float* p, int n) { return {{_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p)}}; }
#elif defined(__AVX2__)
INLINE V<float> load_some(const float* p, int n) {
  alignas(64) static constexpr int32_t yes[2 * L] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
  const int32_t* mask = yes + L - n;
  return {{_mm256_maskload_ps(p, _mm256_loadu_si256((const __m256i*)mask)), _mm256_maskload_ps(p + 8, _mm256_loadu_si256((const __m256i*)(mask + 8)))}};
}
#endif

// bit k: whether lane k has any bit set
template <class T>
INLINE unsigned marks(I<T> x) {
  unsigned found = 0;
  UNROLL for (int k = 0; k < I<T>::N; k++) {
#if defined(__AVX512F__)
    const unsigned some = sizeof(T) == 4 ? _mm512_test_epi32_mask((__m512i)x.h[k], (__m512i)x.h[k]) : _mm512_test_epi64_mask((__m512i)x.h[k], (__m512i)x.h[k]);
#elif defined(__AVX2__)
    const auto yes = x.h[k] != 0;
    const unsigned some = sizeof(T) == 4 ? _mm256_movemask_ps((__m256)yes) : _mm256_movemask_pd((__m256d)yes);
#else
    unsigned some = 0;
    UNROLL for (int q = 0; q < Hardware<T>::lanes; q++) some |= unsigned(x.h[k][q] != 0) << q;
#endif
    found |= some << k * Hardware<T>::lanes;
  }
  return found;
}

// the sum of the sixteen lanes, always as 8 + 8, 4 + 4, 2 + 2, 1 + 1
template <class T>
INLINE T sum(V<T> x) {
  T p[L];
  store(p, x);
  UNROLL for (int n = L / 2; n; n /= 2) UNROLL for (int k = 0; k < n; k++) p[k] += p[k + n];
  return p[0];
}

// x[i][j] <-> x[j][i]: moves only, so that any instruction will do
#if defined(__AVX512F__)
INLINE void transpose(V<float> (&x)[L]) {
  __m512 t[16], u[16];
  UNROLL for (int i = 0; i < 8; i++) {
    t[2 * i] = _mm512_unpacklo_ps(x[2 * i].h[0], x[2 * i + 1].h[0]);
    t[2 * i + 1] = _mm512_unpackhi_ps(x[2 * i].h[0], x[2 * i + 1].h[0]);
  }
  UNROLL for (int i = 0; i < 4; i++) UNROLL for (int k = 0; k < 2; k++) {
    __m512d a = (__m512d)t[4 * i + k], b = (__m512d)t[4 * i + 2 + k];
    u[4 * i + 2 * k] = (__m512)_mm512_unpacklo_pd(a, b);
    u[4 * i + 2 * k + 1] = (__m512)_mm512_unpackhi_pd(a, b);
  }
  UNROLL for (int k = 0; k < 4; k++) {
    __m512 a = _mm512_shuffle_f32x4(u[k], u[k + 4], 0x88), b = _mm512_shuffle_f32x4(u[k], u[k + 4], 0xdd);
    __m512 c = _mm512_shuffle_f32x4(u[k + 8], u[k + 12], 0x88), d = _mm512_shuffle_f32x4(u[k + 8], u[k + 12], 0xdd);
    x[k].h[0] = _mm512_shuffle_f32x4(a, c, 0x88), x[k + 8].h[0] = _mm512_shuffle_f32x4(a, c, 0xdd);
    x[k + 4].h[0] = _mm512_shuffle_f32x4(b, d, 0x88), x[k + 12].h[0] = _mm512_shuffle_f32x4(b, d, 0xdd);
  }
}
#elif defined(__AVX2__)
INLINE void transpose8(__m256 (&x)[8]) {
  __m256 t[8], u[8];
  UNROLL for (int i = 0; i < 4; i++) {
    t[2 * i] = _mm256_unpacklo_ps(x[2 * i], x[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(x[2 * i], x[2 * i + 1]);
  }
  UNROLL for (int i = 0; i < 2; i++) UNROLL for (int k = 0; k < 2; k++) {
    u[4 * i + 2 * k] = _mm256_shuffle_ps(t[4 * i + k], t[4 * i + 2 + k], 0x44);
    u[4 * i + 2 * k + 1] = _mm256_shuffle_ps(t[4 * i + k], t[4 * i + 2 + k], 0xee);
  }
  UNROLL for (int k = 0; k < 4; k++) {
    x[k] = _mm256_permute2f128_ps(u[k], u[k + 4], 0x20);
    x[k + 4] = _mm256_permute2f128_ps(u[k], u[k + 4], 0x31);
  }
}
INLINE void transpose(V<float> (&x)[L]) {
  V<float> y[L];
  UNROLL for (int i = 0; i < 2; i++) UNROLL for (int j = 0; j < 2; j++) {  // quarter (i, j) becomes quarter (j, i)
    __m256 q[8];
    UNROLL for (int k = 0; k < 8; k++) q[k] = x[8 * i + k].h[j];
    transpose8(q);
    UNROLL for (int k = 0; k < 8; k++) y[8 * j + k].h[i] = q[k];
  }
  UNROLL for (int k = 0; k < L; k++) x[k] = y[k];
}
#else
INLINE void transpose(V<float> (&x)[L]) {
  float p[L][L];
  UNROLL for (int i = 0; i < L; i++) UNROLL for (int j = 0; j < L; j++) p[j][i] = x[i].h[j / 4][j % 4];
  UNROLL for (int i = 0; i < L; i++) x[i] = load(p[i]);
}
#endif
#if defined(__AVX2__)
INLINE void transpose4(__m256d (&x)[4]) {
  __m256d a = _mm256_unpacklo_pd(x[0], x[1]), b = _mm256_unpackhi_pd(x[0], x[1]);
  __m256d c = _mm256_unpacklo_pd(x[2], x[3]), d = _mm256_unpackhi_pd(x[2], x[3]);
  x[0] = _mm256_permute2f128_pd(a, c, 0x20), x[1] = _mm256_permute2f128_pd(b, d, 0x20);
  x[2] = _mm256_permute2f128_pd(a, c, 0x31), x[3] = _mm256_permute2f128_pd(b, d, 0x31);
}
// sixteen rows of doubles do not fit the registers: four by four through memory
INLINE void transpose(V<double> (&x)[L]) {
  double p[L][L], q[L][L];
  UNROLL for (int i = 0; i < L; i++) store(p[i], x[i]);
  NO_UNROLL for (int i = 0; i < L; i += 4) NO_UNROLL for (int j = 0; j < L; j += 4) {
    __m256d t[4];
    UNROLL for (int k = 0; k < 4; k++) t[k] = _mm256_loadu_pd(&p[i + k][j]);
    transpose4(t);
    UNROLL for (int k = 0; k < 4; k++) _mm256_storeu_pd(&q[j + k][i], t[k]);
  }
  UNROLL for (int i = 0; i < L; i++) x[i] = load(q[i]);
}
#else
INLINE void transpose(V<double> (&x)[L]) {
  double p[L][L];
  UNROLL for (int i = 0; i < L; i++) UNROLL for (int j = 0; j < L; j++) p[j][i] = x[i].h[j / 2][j % 2];
  UNROLL for (int i = 0; i < L; i++) x[i] = load(p[i]);
}
#endif

// four columns of the sixteen rows at row(0) ... row(15), straight from memory: x[k] holds row(0)[k], row(1)[k], ...
// Parts of a register are loaded from rows apart, which spares half of the shuffles of a transposition.
template <class T, class F>
INLINE void columns(F&& row, V<T> (&x)[4]) {
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 8) {
    __m256d t[L / 4][4];
    UNROLL for (int i = 0; i < L / 4; i++) {
      UNROLL for (int r = 0; r < 4; r++) t[i][r] = _mm256_loadu_pd(row(4 * i + r));
      transpose4(t[i]);
    }
#if defined(__AVX512F__)
    UNROLL for (int i = 0; i < 2; i++)
      UNROLL for (int k = 0; k < 4; k++) x[k].h[i] = _mm512_insertf64x4(_mm512_castpd256_pd512(t[2 * i][k]), t[2 * i + 1][k], 1);
#else
    UNROLL for (int i = 0; i < 4; i++) UNROLL for (int k = 0; k < 4; k++) x[k].h[i] = t[i][k];
#endif
  } else {
#if defined(__AVX512F__)
    __m512 t[4];
    UNROLL for (int r = 0; r < 4; r++) {
      t[r] = _mm512_zextps128_ps512(_mm_loadu_ps(row(r)));
      t[r] = _mm512_mask_broadcast_f32x4(t[r], 0x00f0, _mm_loadu_ps(row(r + 4)));
      t[r] = _mm512_mask_broadcast_f32x4(t[r], 0x0f00, _mm_loadu_ps(row(r + 8)));
      t[r] = _mm512_mask_broadcast_f32x4(t[r], 0xf000, _mm_loadu_ps(row(r + 12)));
    }
    const __m512d a = (__m512d)_mm512_unpacklo_ps(t[0], t[1]), b = (__m512d)_mm512_unpackhi_ps(t[0], t[1]);
    const __m512d c = (__m512d)_mm512_unpacklo_ps(t[2], t[3]), d = (__m512d)_mm512_unpackhi_ps(t[2], t[3]);
    x[0].h[0] = (__m512)_mm512_unpacklo_pd(a, c), x[1].h[0] = (__m512)_mm512_unpackhi_pd(a, c);
    x[2].h[0] = (__m512)_mm512_unpacklo_pd(b, d), x[3].h[0] = (__m512)_mm512_unpackhi_pd(b, d);
#else
    UNROLL for (int i = 0; i < 2; i++) {
      __m256 t[4];
      UNROLL for (int r = 0; r < 4; r++) t[r] = _mm256_set_m128(_mm_loadu_ps(row(8 * i + r + 4)), _mm_loadu_ps(row(8 * i + r)));
      const __m256d a = (__m256d)_mm256_unpacklo_ps(t[0], t[1]), b = (__m256d)_mm256_unpackhi_ps(t[0], t[1]);
      const __m256d c = (__m256d)_mm256_unpacklo_ps(t[2], t[3]), d = (__m256d)_mm256_unpackhi_ps(t[2], t[3]);
      x[0].h[i] = (__m256)_mm256_unpacklo_pd(a, c), x[1].h[i] = (__m256)_mm256_unpackhi_pd(a, c);
      x[2].h[i] = (__m256)_mm256_unpacklo_pd(b, d), x[3].h[i] = (__m256)_mm256_unpackhi_pd(b, d);
    }
#endif
  }
#else
  constexpr int n = Hardware<T>::lanes;
  UNROLL for (int r = 0; r < L; r++) UNROLL for (int k = 0; k < 4; k++) x[k].h[r / n][r % n] = row(r)[k];
#endif
}

}  // namespace deltarule::DELTARULE_ISA
