// module.cpp: deltarule._native, a table of contents. It checks what comes from Python, once, and calls the engine
// chosen for this processor; nothing is computed here.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "native/arena.hpp"
#include "native/program.hpp"
#include "native/team.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace deltarule {
namespace {

// instruction sets

struct Isa {
  const char* name;
  const Engine &single, &twice;
};

#if defined(__x86_64__)
bool rest_of_v3() {  // what x86-64-v3 may use beside the vectors: movbe, f16c, lzcnt
  unsigned a, b, c, d, extended = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !__get_cpuid(0x80000001, &a, &b, &extended, &d)) return false;
  return (c & bit_MOVBE) && (c & bit_F16C) && (extended & bit_LZCNT);
}
#endif

std::vector<Isa> isas() {  // those this machine can run, the fastest first
  std::vector<Isa> found;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && rest_of_v3();
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (v4) found.push_back({"avx512", avx512::float_engine, avx512::double_engine});
  if (v3) found.push_back({"avx2", avx2::float_engine, avx2::double_engine});
#elif defined(__aarch64__)
  found.push_back({"neon", neon::float_engine, neon::double_engine});
#endif
  return found;
}

const Isa* chosen() {  // by the processor, or by DELTARULE_ISA; null if there is none
  static const std::vector<Isa> all = isas();
  const char* wanted = std::getenv("DELTARULE_ISA");
  for (const Isa& isa : all)
    if (!wanted || !*wanted || std::string(wanted) == isa.name) return &isa;
  return nullptr;
}

// arrays

template <class T, size_t n>
using In = nb::ndarray<const T, nb::ndim<n>, nb::c_contig, nb::device::cpu>;
template <class T, size_t n>
using Out = nb::ndarray<T, nb::ndim<n>, nb::c_contig, nb::device::cpu>;
using Any = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
using AnyOut = nb::ndarray<nb::c_contig, nb::device::cpu>;

[[noreturn]] void refuse(const std::string& what) { throw nb::value_error(what.c_str()); }

const Engine& engine_for(bool twice) {
  const Isa* isa = chosen();
  if (!isa) refuse("no instruction set of this processor, or not the one that DELTARULE_ISA names");
  return twice ? isa->twice : isa->single;
}
bool python_wants_out() {  // a handler of signals has raised; the error waits until the call has ended
  nb::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
}
template <class F>
void without_gil(F&& f) {
  {
    nb::gil_scoped_release release;
    f();
  }
  if (PyErr_Occurred()) throw nb::python_error();
}
void check_threads(int threads) {
  if (threads < 1) refuse("threads is at least 1");
}

template <class A>
auto* data_of(const A& a, const char* name, nb::dlpack::dtype type, size_t size) {
  if (a.dtype() != type) refuse(std::string(name) + " has another number type than the program");
  if (a.size() != size) refuse(std::string(name) + " has " + std::to_string(a.size()) + " numbers, not " + std::to_string(size));
  return a.data();
}

// what each rule remembers and is given, in the order of Rule (see optimizers.hpp)
constexpr int rules = 11, states_of[rules] = {0, 1, 1, 1, 2, 1, 2, 2, 3, 2, 2}, constants_of[rules] = {1, 2, 2, 2, 4, 4, 8, 8, 8, 8, 5};

class Program {  // a network, in one precision
  std::vector<Layer> layers;
  std::vector<std::vector<uint8_t>> links;
  Network net;
  nb::dlpack::dtype type;
  const Engine& engine;
  bool answers_once = false;  // a sequence, by its last step

 public:
  // kind, inputs, outputs, activation, its parameter, trainable, decays, W, b, threshold, scale, geometry, border, links,
  // of a recurrent layer U, h0 (-1: none), and whether it answers once a sequence
  using Recurrence = std::tuple<int64_t, int64_t, bool>;
  using LayerTuple = std::tuple<int, int, int, int, double, bool, bool, int64_t, int64_t, uint32_t, double, std::vector<int>, double, std::vector<uint8_t>, Recurrence>;

  Program(const std::vector<LayerTuple>& given, int64_t size, bool canonical, int cost, double cost_parameter, bool twice, bool sequences, bool sum)
      : type(twice ? nb::dtype<double>() : nb::dtype<float>()), engine(engine_for(twice)) {
    constexpr int most = 1 << 25;  // features: places in a tile are ints
    double products = 0;
    int64_t n_state = 0;
    for (const auto& [kind, n_in, n_out, f, parameter, trainable, decays, W, b, threshold, scale, numbers, border, table, recurrence] : given) {
      const bool fits = n_in > 0 && n_out > 0 && n_in <= most && n_out <= most && (layers.empty() || layers.back().n_out == n_in);
      if (!fits || kind < 0 || kind > int(Kind::subsample)) refuse("a layer does not fit the one before it");
      if (f < 0 || f > int(Function::softmax)) refuse("no such activation");
      links.push_back(table);
      Layer layer{Kind(kind), n_in, n_out, Function(f), parameter, trainable, decays, W, b, threshold, scale, {}, border, 0, -1, false};
      std::tie(layer.U, layer.h0, layer.last) = recurrence;
      layer.geometry = geometry(layer, numbers, links.back());
      const auto [weights, biases, uses] = parameters(layer);
      if (!within(W, weights, size) || !within(b, biases, size)) refuse("a layer's parameters are not all in theta");
      if (layer.kind == Kind::rnn) {
        const int64_t n = n_out;
        if (!sequences || answers_once || n_in + n > most) refuse("a recurrent layer has sequences below it");
        if (!within(layer.U, n * n, size) || (layer.h0 != -1 && !within(layer.h0, n, size))) refuse("a layer's parameters are not all in theta");
        n_state += n, answers_once = layer.last;
      }
      if (sequences && layer.kind >= Kind::conv) refuse("maps have no steps");
      products += uses, layers.push_back(layer);
    }
    if (layers.empty() || cost < 0 || cost > int(Cost::poisson)) refuse("a network has layers and a cost");
    if (n_state > most) refuse("the state is too large");
    net = {layers.data(), int(layers.size()), size, products, canonical, Cost(cost), cost_parameter, sequences, sum, int(n_state)};
  }
  Program(const Program&) = delete;

  static bool within(int64_t first, int64_t n, int64_t size) { return first >= 0 && n <= size && first <= size - n; }

  // maps that are as large as they say, and windows that lie on them; `table` must outlive it
  static Geometry geometry(const Layer& layer, const std::vector<int>& numbers, const std::vector<uint8_t>& table) {
    if (numbers.empty() && (layer.kind == Kind::dense || layer.kind == Kind::rnn || (layer.kind == Kind::dropout && layer.n_in == layer.n_out))) return {};
    if (numbers.size() != 12) refuse("a layer of maps has twelve numbers");
    Geometry g{};
    int* to[12] = {&g.channels, &g.height, &g.width, &g.maps, &g.out_height, &g.out_width, &g.rows, &g.columns, &g.down, &g.across, &g.top, &g.left};
    for (int k = 0; k < 12; k++) {
      if (numbers[k] < (k < 10 ? 1 : 0) || numbers[k] > 1 << 25) refuse("a layer's maps are too small or too large");
      *to[k] = numbers[k];
    }
    const int64_t below = int64_t(g.channels) * g.height * g.width, own = int64_t(g.maps) * g.out_height * g.out_width;
    const bool conv = layer.kind == Kind::conv, same = g.channels == g.maps && !g.top && !g.left;
    if (below != layer.n_in || own != layer.n_out || !(conv || same)) refuse("a layer's maps have another size");
    if (layer.kind == Kind::dropout && layer.n_in != layer.n_out) refuse("a dropout changes no size");
    const int64_t bottom = int64_t(g.out_height - 1) * g.down + g.rows - g.top, right = int64_t(g.out_width - 1) * g.across + g.columns - g.left;
    if (!conv && (bottom > g.height || right > g.width)) refuse("a window lies beyond the maps");
    const double tall = g.top + double(std::max<int64_t>(bottom, g.height)), broad = g.left + double(std::max<int64_t>(right, g.width));
    if (tall * broad * g.channels > most_padded) refuse("the maps are too large, margins included");
    if (conv && double(g.maps) * g.channels * g.rows * g.columns > most_kernels) refuse("the kernels are too many or too large");
    if (!table.empty() && (!conv || table.size() != size_t(g.maps) * size_t(g.channels))) refuse("a link for every pair of maps");
    g.links = table.empty() ? nullptr : table.data();
    return g;
  }
  static constexpr double most_padded = 1 << 24, most_kernels = 1 << 28;  // as in engines/native.py

  struct Counts {
    int64_t weights, biases;
    double products;  // a sample
  };
  static Counts parameters(const Layer& layer) {
    const Geometry& g = layer.geometry;
    if (layer.kind == Kind::dense) return {int64_t(layer.n_in) * layer.n_out, layer.n_out, double(layer.n_in) * layer.n_out};
    if (layer.kind == Kind::rnn) return {int64_t(layer.n_in) * layer.n_out, layer.n_out, (double(layer.n_in) + layer.n_out) * layer.n_out};
    if (layer.kind == Kind::subsample) return {g.maps, g.maps, double(layer.n_in)};
    if (layer.kind != Kind::conv) return {0, 0, double(layer.n_in)};
    int64_t connected = int64_t(g.maps) * g.channels;
    if (g.links) connected = std::count_if(g.links, g.links + connected, [](uint8_t link) { return link != 0; });
    const int64_t weights = connected * g.rows * g.columns;
    return {weights, g.maps, double(weights) * g.out_height * g.out_width};
  }
  double products() const { return net.products; }
  int n_outputs() const { return layers.back().n_out; }

  int n_state() const { return net.n_state; }

  // what there is beside X where it holds sequences
  struct Steps {
    std::optional<Any> time, state;
    std::optional<AnyOut> new_state;
  };

  // m rows, and what is answered: rows, or all their steps
  Samples inputs(const Any& X, const Steps& with, int64_t& m, size_t& answers) const {
    const auto dtype = X.dtype();
    Samples data{};
    m = X.ndim() ? int64_t(X.shape(0)) : 0;
    int64_t steps = 1, features = layers[0].n_in;
    if (net.sequences) {
      if (X.ndim() < 2 || X.shape(1) < 1 || X.shape(1) > most_steps) refuse("sequences have a step or more, and not too many");
      steps = int64_t(X.shape(1)), data.steps = int(steps), data.tokens = X.ndim() == 2;
      if (data.tokens) features = 1;
    }
    const bool known = dtype == nb::dtype<uint8_t>() || (data.tokens ? dtype == nb::dtype<uint16_t>() || dtype == nb::dtype<int64_t>() : dtype == nb::dtype<float>() || dtype == nb::dtype<double>());
    if (!known) refuse("X is uint8, float32 or float64, or tokens in uint8, uint16 or int64");
    if (m == 0 || X.size() == 0 || int64_t(X.size() / size_t(m) / size_t(steps)) != features || X.size() % (size_t(m) * size_t(steps))) refuse("X has another number of features than the network");
    data.element = dtype == nb::dtype<uint8_t>() ? Element::uint8 : dtype == nb::dtype<float>() ? Element::float32 : dtype == nb::dtype<double>() ? Element::float64 : dtype == nb::dtype<uint16_t>() ? Element::uint16 : Element::int64;
    data.X = X.data(), data.bytes = features * int64_t(X.itemsize());
    answers = size_t(m) * size_t(answers_once ? 1 : steps);
    if (with.time) data.time = static_cast<const uint8_t*>(data_of(*with.time, "time", nb::dtype<uint8_t>(), size_t(m * steps)));
    return data;
  }
  static constexpr size_t most_steps = 1 << 24;
  // the rows meant, all m where no order is given, hold places in the vocabulary alone
  void check_tokens(const Samples& data, int64_t m, const int64_t* order = nullptr) const {
    const int64_t size = layers[0].n_in;
    const auto each = [&](const auto* x) {
      for (int64_t k = 0; k < m; k++)
        for (int64_t at = (order ? order[k] : k) * data.steps, end = at + data.steps; at < end; at++)
          if (int64_t(x[at]) < 0 || int64_t(x[at]) >= size) refuse("a token is not in the vocabulary");
    };
    if (!data.tokens) return;
    if (data.element == Element::uint8) each(static_cast<const uint8_t*>(data.X));
    else if (data.element == Element::uint16) each(static_cast<const uint16_t*>(data.X));
    else each(static_cast<const int64_t*>(data.X));
  }
  // states of m sequences, in and out
  void states(Samples& data, const Steps& with, int64_t m) const {
    if (with.state) data.state = data_of(*with.state, "state", type, size_t(m) * size_t(net.n_state));
    if (with.new_state) data.new_state = data_of(*with.new_state, "new state", type, size_t(m) * size_t(net.n_state));
  }
  Samples samples(const Any& X, const Any& t, const std::optional<Any>& weights, const Steps& with, int64_t& m) const {
    size_t answers;
    Samples data = inputs(X, with, m, answers);
    const auto dtype = t.dtype();
    data.label = !net.sequences ? Element::int64 : dtype == nb::dtype<uint8_t>() ? Element::uint8 : dtype == nb::dtype<uint16_t>() ? Element::uint16 : Element::int64;
    if (data.label != Element::int64 || dtype == nb::dtype<int64_t>()) data.labels = data_of(t, "t", dtype, answers);
    else data.targets = data_of(t, "t", type, answers * size_t(n_outputs()));
    data.step_weights = weights && net.sequences && weights->ndim() == 2;
    if (weights) data.weights = data_of(*weights, "sample_weight", type, data.step_weights ? size_t(m) * size_t(data.steps) : size_t(m));
    return data;
  }

  void forward(const Any& theta, const Any& X, const AnyOut& z, const AnyOut& y, int threads, const std::optional<Any>& time, const std::optional<Any>& state,
               const std::optional<AnyOut>& new_state) const {
    int64_t m;
    size_t answers;
    check_threads(threads);
    const Steps with{time, state, new_state};
    Samples data = inputs(X, with, m, answers);
    states(data, with, m);
    check_tokens(data, m);
    const void* at = data_of(theta, "theta", type, size_t(net.size));
    void *to_z = data_of(z, "z", type, answers * size_t(n_outputs())), *to_y = data_of(y, "y", type, answers * size_t(n_outputs()));
    without_gil([&] { engine.forward(net, at, data, m, to_z, to_y, threads); });
  }

  double gradient(const Any& theta, const Any& X, const Any& t, const std::optional<Any>& weights, double weight_decay, const AnyOut& g, int threads,
                  const std::optional<Any>& time, const std::optional<Any>& state) const {
    int64_t m;
    check_threads(threads);
    const Steps with{time, state, std::nullopt};
    Samples data = samples(X, t, weights, with, m);
    states(data, with, m);
    check_tokens(data, m);
    const void* at = data_of(theta, "theta", type, size_t(net.size));
    void* to = data_of(g, "gradient", type, size_t(net.size));
    double cost = 0;
    without_gil([&] { cost = engine.gradient(net, at, data, m, weight_decay, to, threads); });
    return cost;
  }

  int64_t train(const Any& theta, const AnyOut& new_theta, const std::vector<Any>& states, const std::vector<AnyOut>& new_states, const Any& X, const Any& t,
                const std::optional<Any>& weights, const In<int64_t, 1>& order, const In<int64_t, 1>& ends, int64_t first_step, int rule,
                const In<double, 2>& constants, const In<uint32_t, 2>& keys, const In<double, 1>& decays, double clip_norm, double clip_value,
                const Out<double, 1>& costs, const Out<double, 1>& penalties, const In<int64_t, 1>& keeps, const AnyOut& kept, int threads, const std::optional<Any>& time, const std::optional<Any>& begins,
                const std::optional<AnyOut>& carried) const {
    int64_t m, before = 0;
    check_threads(threads);
    if (rule < 0 || rule >= rules || int(constants.shape(1)) != constants_of[rule] || int(states.size()) != states_of[rule]) refuse("no such rule, or not what it needs");
    Samples data = samples(X, t, weights, {time, std::nullopt, std::nullopt}, m);
    const size_t size = size_t(net.size), batches = ends.size();
    Descent to{};
    to.order = order.data(), to.ends = ends.data(), to.batches = int64_t(batches), to.first_step = first_step;
    to.rule = Rule(rule), to.constants = constants.data(), to.n_constants = int(constants.shape(1)), to.n_states = int(states.size());
    to.decays = decays.data(), to.clip_norm = clip_norm, to.clip_value = clip_value, to.costs = costs.data(), to.penalties = penalties.data();
    if (batches == 0 || constants.shape(0) != batches || decays.size() != batches || costs.size() != batches || penalties.size() != batches) refuse("a row of constants, a decay, a cost and a penalty for every batch");
    if (new_states.size() != states.size() || keys.shape(0) != layers.size() || keys.shape(1) != 2) refuse("states or keys do not fit");
    for (size_t k = 0; k < batches; before = ends.data()[k++])
      if (ends.data()[k] <= before || ends.data()[k] > int64_t(order.size())) refuse("batches end in ascending order within the order of rows");
    for (size_t k = 0; k < order.size(); k++)
      if (order.data()[k] < 0 || order.data()[k] >= m) refuse("the order names row " + std::to_string(order.data()[k]) + " of " + std::to_string(m));
    check_tokens(data, int64_t(order.size()), order.data());
    for (size_t k = 0; k < keeps.size(); k++)
      if (keeps.data()[k] <= (k ? keeps.data()[k - 1] : 0) || keeps.data()[k] > int64_t(batches)) refuse("updates to keep are named in ascending order, from 1");
    to.keeps = keeps.data(), to.n_keeps = int64_t(keeps.size()), to.kept = data_of(kept, "kept", type, keeps.size() * size);
    const void* from = data_of(theta, "theta", type, size);
    void* into = data_of(new_theta, "new theta", type, size);
    for (size_t k = 0; k < states.size(); k++) to.states[k] = data_of(states[k], "state", type, size), to.new_states[k] = data_of(new_states[k], "new state", type, size);
    if (begins) {             // batches that go on are as large as the one before, and their states fit
      to.begins = static_cast<const uint8_t*>(data_of(*begins, "begins", nb::dtype<uint8_t>(), batches));
      if (!net.sequences || !carried || carried->ndim() != 2 || int64_t(carried->shape(1)) != net.n_state) refuse("a state for every sequence of a batch");
      data.new_state = data_of(*carried, "carried", type, carried->size());
      int64_t last = int64_t(carried->shape(0));
      for (size_t k = 0; k < batches; k++) {
        const int64_t rows = ends.data()[k] - (k ? ends.data()[k - 1] : 0);
        if (rows > int64_t(carried->shape(0)) || (!to.begins[k] && k && rows != last)) refuse("a batch that goes on has the sequences of the one before");
        last = rows;
      }
    }
    const Masks masks{reinterpret_cast<const uint32_t(*)[2]>(keys.data())};
    int64_t done = 0;
    without_gil([&] { done = engine.train(net, from, into, data, masks, to, threads); });
    return done;
  }

  int64_t generate(const Any& theta, const In<int64_t, 1>& prompt, double temperature, const In<double, 1>& uniform, const Out<int64_t, 1>& tokens,
                   const std::optional<Any>& state, const AnyOut& new_state) const {
    if (!net.sequences || answers_once || n_outputs() != layers[0].n_in) refuse("a network that answers every token with another");
    if (prompt.size() == 0 || uniform.size() != tokens.size() || !(temperature >= 0)) refuse("a prompt, and a number for every token");
    Samples given{};
    given.X = prompt.data(), given.element = Element::int64;
    given.tokens = true, given.steps = 1;
    check_tokens(given, int64_t(prompt.size()));
    states(given, {std::nullopt, state, new_state}, 1);
    const void* at = data_of(theta, "theta", type, size_t(net.size));
    const Draft draft{prompt.data(), int64_t(prompt.size()), int64_t(tokens.size()), temperature, uniform.data(), tokens.data(), given.state, given.new_state};
    int64_t done = 0;
    without_gil([&] { done = engine.generate(net, at, draft); });
    return done;
  }
};

bool evaluate(const std::string& name, const Any& x, const AnyOut& y) {
  const bool twice = x.dtype() == nb::dtype<double>();
  if (!twice && x.dtype() != nb::dtype<float>()) refuse("x is float32 or float64");
  void* to = data_of(y, "y", x.dtype(), x.size());
  return engine_for(twice).evaluate(name.c_str(), x.data(), to, int64_t(x.size()));
}

}  // namespace
}  // namespace deltarule

NB_MODULE(_native, m) {
  using namespace deltarule;
  interrupted = python_wants_out;
  m.def("isas", [] { std::vector<std::string> names; for (const Isa& isa : isas()) names.push_back(isa.name); return names; });
  m.def("isa", [] { return std::string(chosen() ? chosen()->name : ""); });
  m.def("processors", processors);
  m.def("allocations", arena_count);
  m.def("compiler", [] { return std::string(__VERSION__); });
  m.def("evaluate", evaluate, "name"_a, "x"_a.noconvert(), "y"_a.noconvert());
  nb::class_<Program>(m, "Program")
      .def(nb::init<const std::vector<Program::LayerTuple>&, int64_t, bool, int, double, bool, bool, bool>())
      .def_prop_ro("products", &Program::products)
      .def("forward", &Program::forward, "theta"_a.noconvert(), "X"_a.noconvert(), "z"_a.noconvert(), "y"_a.noconvert(), "threads"_a, "time"_a.noconvert() = nb::none(),
           "state"_a.noconvert() = nb::none(), "new_state"_a.noconvert() = nb::none())
      .def("gradient", &Program::gradient, "theta"_a.noconvert(), "X"_a.noconvert(), "t"_a.noconvert(), "weights"_a.noconvert().none(), "weight_decay"_a, "gradient"_a.noconvert(), "threads"_a,
           "time"_a.noconvert() = nb::none(), "state"_a.noconvert() = nb::none())
      .def("generate", &Program::generate, "theta"_a.noconvert(), "prompt"_a.noconvert(), "temperature"_a, "uniform"_a.noconvert(), "tokens"_a.noconvert(),
           "state"_a.noconvert().none(), "new_state"_a.noconvert())
      .def("train", &Program::train, "theta"_a.noconvert(), "new_theta"_a.noconvert(), "states"_a.noconvert(), "new_states"_a.noconvert(), "X"_a.noconvert(),
           "t"_a.noconvert(), "weights"_a.noconvert().none(), "order"_a.noconvert(), "ends"_a.noconvert(), "first_step"_a, "rule"_a, "constants"_a.noconvert(),
           "keys"_a.noconvert(), "decays"_a.noconvert(), "clip_norm"_a, "clip_value"_a, "costs"_a.noconvert(), "penalties"_a.noconvert(), "keeps"_a.noconvert(), "kept"_a.noconvert(), "threads"_a, "time"_a.noconvert() = nb::none(),
           "begins"_a.noconvert() = nb::none(), "carried"_a.noconvert() = nb::none());
}
