// chain.hpp: a network as stages, with the memory one call needs.
#pragma once
#include "layers/dense.hpp"
#include "layers/dropout.hpp"
#include "outputs.hpp"

namespace deltarule::DELTARULE_ISA {

constexpr int64_t WIDE = 1 << 15;  // so many weights are shared by rows, not by samples

template <class T>
struct Chain {
  Stage<T>** stages;
  int n, lowest;             // the lowest stage that learns: nothing below it needs a delta
  ptrdiff_t parameters;      // of all stages, with padding
  int rows;                  // of all stages' parameters
  int n_outputs, most_out, most_in;
  Output<T> output;

  Stage<T>& top() const { return *stages[n - 1]; }

  // for training (sums over samples, masks where keys are given), or forward only, with theta flat
  void build(Arena& objects, const Network& net, Element x, bool training, const Masks* masks) {
    const Layer& last = net.layers[net.n_layers - 1];
    stages = take<Stage<T>*>(objects, net.n_layers + 1);
    n = 0, parameters = 0, rows = 0, most_out = most_in = 0, lowest = -1;
    if (net.layers[0].kind != Kind::dense) {
      auto* input = add<Input<T>>(objects);
      input->n_in = input->n_out = net.layers[0].n_in, input->gather = gatherer<T>(x);
    }
    for (int l = 0; l < net.n_layers; l++) {
      const Layer& layer = net.layers[l];
      Stage<T>* stage = layer.kind == Kind::dense ? dense(objects, layer, x, training) : dropout(objects, layer, masks ? masks->keys[l] : nullptr);
      stage->top = l == net.n_layers - 1;
      const bool wide = int64_t(layer.n_in) * layer.n_out >= WIDE && !stage->top;
      stage->by_rows = training && layer.kind == Kind::dense && (!stage->below || wide);
      rows += stage->matrix.rows, parameters += (ptrdiff_t)stage->matrix.rows * stage->matrix.ld;
      if (lowest < 0 && stage->trainable && stage->matrix.rows) lowest = n - 1;
    }
    if (lowest < 0) lowest = n;  // all is frozen
    n_outputs = last.n_out;
    output = {last.n_out, {last.f, T(last.parameter)}, net.canonical, net.cost, T(net.cost_parameter)};
  }

  // the memory of all stages, and of one thread's worker
  void place(Arena& arena, int samples, bool training) {
    for (int l = 0; l < n; l++) stages[l]->place(arena, samples, training);
  }
  void place(Arena& arena, Worker<T>& worker, int samples, bool training) const {
    worker.chunk = samples > FEW ? take<T>(arena, (CHUNK + L) * S) : nullptr, worker.block = training ? take<T>(arena, 16 * PANEL) : nullptr;
    worker.few = take<T>(arena, (size_t)FEW * padded(most_in)), worker.row = take<T>(arena, padded(most_in));
    worker.y = take<T>(arena, (size_t)n_outputs * L), worker.t = take<T>(arena, (size_t)n_outputs * L);
    worker.strip = training ? take<T>(arena, (size_t)most_out * L) : nullptr;
    worker.panels = training && !stages[0]->below ? take<T>(arena, Dense<T>::panel_size(stages[0]->n_in, samples)) : nullptr;
    worker.ahead = {}, worker.patience = {}, worker.pieces = 0, worker.watch = set(T(0));
  }

  static size_t objects(const Network& net) {  // bytes that `build` takes
    return size_t(net.n_layers + 1) * (sizeof(Dense<T>) + sizeof(Dropout<T>) + sizeof(Stage<T>*) + 64) + 64;
  }

 private:
  template <class K>
  K* add(Arena& objects) {
    K* stage = new (objects.bytes(sizeof(K))) K();
    stage->below = n ? stages[n - 1] : nullptr;
    stages[n++] = stage;
    return stage;
  }
  Stage<T>* dense(Arena& objects, const Layer& layer, Element x, bool training) {
    auto* y = add<Dense<T>>(objects);
    y->n_in = layer.n_in, y->n_out = layer.n_out, y->trainable = layer.trainable;
    y->activation = {layer.f, T(layer.parameter)}, y->flat_W = layer.W, y->flat_b = layer.b;
    y->gather = gatherer<T>(x), y->copy = copier<T>(x), y->learns = training && layer.trainable;
    y->matrix = {parameters, layer.n_out, leading<T>(layer.n_in), padded(layer.n_in), layer.n_in + 1, layer.decays ? layer.n_in : 0};
    most_out = most_out > layer.n_out ? most_out : layer.n_out, most_in = most_in > layer.n_in ? most_in : layer.n_in;
    return y;
  }
  Stage<T>* dropout(Arena& objects, const Layer& layer, const uint32_t* key) {
    auto* y = add<Dropout<T>>(objects);
    y->n_in = y->n_out = layer.n_in, y->trainable = true, y->masked = key, y->threshold = layer.threshold, y->scale = T(layer.scale);
    if (key) y->key[0] = key[0], y->key[1] = key[1];
    return y;
  }
};

}  // namespace deltarule::DELTARULE_ISA
