// isa.cpp: the engine for one instruction set. Compiled once for each, with -DDELTARULE_ISA=name and its -march.
#include "forward.hpp"
#include "generate.hpp"
#include "training.hpp"

namespace deltarule::DELTARULE_ISA {

namespace {

bool same(const char* a, const char* b) { return __builtin_strcmp(a, b) == 0; }

template <class T, class F>
void every(const void* x, void* y, int64_t n, F&& f) {
  const T* p = static_cast<const T*>(x);
  T *q = static_cast<T*>(y), rest[L] = {};
  int64_t k = 0;
  for (; k + L <= n; k += L) store(q + k, f(load(p + k)));
  for (int64_t i = k; i < n; i++) rest[i - k] = p[i];
  store(rest, f(load(rest)));
  for (int64_t i = k; i < n; i++) q[i] = rest[i - k];
}

template <class T>
struct Evaluation {
  const char* name;
  const void* x;
  void* y;
  int64_t n;
  bool known;
  static void run(void* context, Member) {
    auto& e = *static_cast<Evaluation*>(context);
    auto with = [&](const char* name, auto f) {
      if (same(e.name, name)) every<T>(e.x, e.y, e.n, f), e.known = true;
    };
    with("exp", [](V<T> x) { return exp(x); });
    with("expm1", [](V<T> x) { return expm1(x); });
    with("log", [](V<T> x) { return log(x); });
    with("log1p", [](V<T> x) { return log1p(x); });
    with("tanh", [](V<T> x) { return tanh(x); });
    with("sigmoid", [](V<T> x) { return sigmoid(x); });
    with("softplus", [](V<T> x) { return softplus(x); });
  }
};

template <class T>
bool evaluate(const char* name, const void* x, void* y, int64_t n) {
  Evaluation<T> job{name, x, y, n, false};
  team_run(1, Evaluation<T>::run, &job);
  return job.known;
}

}  // namespace

const Engine float_engine{forward<float>, gradient<float>, train<float>, generate<float>, evaluate<float>};
const Engine double_engine{forward<double>, gradient<double>, train<double>, generate<double>, evaluate<double>};

}  // namespace deltarule::DELTARULE_ISA
