// chain.hpp: a network as stages, with the memory one call needs.
#pragma once
#include "layers/conv.hpp"
#include "layers/dense.hpp"
#include "layers/dropout.hpp"
#include "layers/pool.hpp"
#include "layers/recurrent.hpp"
#include "outputs.hpp"

namespace deltarule::DELTARULE_ISA {

constexpr int64_t WIDE = 1 << 15;  // so many weights are shared by rows, not by samples

template <class T>
struct Chain {
  Stage<T>** stages;
  int n, lowest;             // the lowest stage that learns: nothing below it needs a delta
  int maps;                  // stages that work on maps, the lowest ones, up to where they are flattened
  ptrdiff_t parameters;      // of all stages, with padding
  ptrdiff_t map_parameters, map_numbers;  // of the maps' stages; all their numbers of sixteen samples
  int rows;                  // of all stages' parameters
  int n_outputs, most_out, most_in;
  bool sequences;
  int last_step;             // the stage that keeps the last step alone; stages above see sixteen samples. n if none does
  Output<T> output;

  Stage<T>& top() const { return *stages[n - 1]; }

  // for training (sums over samples, masks where keys are given), or forward only, with theta flat; `online` where all
  // batches are of few samples and a gradient is never wanted whole, nor by its rows
  void build(Arena& objects, const Network& net, const Samples& data, bool training, const Masks* masks, bool online = false) {
    const Element x = data.element;
    sequences = net.sequences;
    const Layer &first = net.layers[0], &last = net.layers[net.n_layers - 1];
    stages = take<Stage<T>*>(objects, 2 * net.n_layers + 2);
    n = 0, maps = 0, parameters = 0, map_parameters = 0, map_numbers = 0, rows = 0, most_out = most_in = 0, lowest = -1;
    int of_maps = 0;           // layers, with the dropout among them
    int state = 0;             // numbers of it that the layers so far have
    last_step = 2 * net.n_layers + 2;
    for (int l = 0; l < net.n_layers; l++)
      if (net.layers[l].kind >= Kind::conv) of_maps = l + 1;
    if (of_maps) input_maps(objects, first, x);
    else if (sequences ? !(data.tokens && first.kind == Kind::rnn) : first.kind != Kind::dense) {
      auto* input = add<Input<T>>(objects);
      input->n_in = input->n_out = first.n_in, input->gather = gatherer<T>(x);
    }
    for (int l = 0; l < net.n_layers; l++) {
      const Layer& layer = net.layers[l];
      Stage<T>* stage = make(objects, layer, data, training, masks ? masks->keys[l] : nullptr, l < of_maps, online, state);
      stage->n_in = layer.n_in, stage->n_out = layer.n_out, stage->trainable = layer.trainable;
      stage->top = l == net.n_layers - 1;
      if (layer.kind == Kind::dense) static_cast<Dense<T>*>(stage)->in_stretches = sequences && stage->below;
      const bool wide = int64_t(layer.n_in) * layer.n_out >= WIDE && !stage->top;
      stage->by_rows = training && !of_maps && !sequences && layer.kind == Kind::dense && (!stage->below || wide) && !(online && !stage->below && layer.trainable);
      rows += stage->matrix.rows, parameters += (ptrdiff_t)stage->matrix.rows * stage->matrix.ld;
      if (lowest < 0 && stage->trainable && stage->matrix.rows) lowest = n - 1;
      if (l + 1 == of_maps) flatten(objects, stage, training);
      if (layer.kind == Kind::rnn && (layer.last || stage->top)) {
        if (layer.last) last_step = n;
        auto* end = add<Shown<T>>(objects);
        end->n_in = end->n_out = layer.n_out, end->last = layer.last, end->top = stage->top, stage->top = false;
      }
    }
    if (lowest < 0) lowest = n;  // all is frozen
    n_outputs = last.n_out;
    output = {last.n_out, {last.kind == Kind::rnn ? Function::identity : last.f, T(last.parameter)}, net.canonical, net.cost, T(net.cost_parameter)};
  }

  // sixteen samples from s on through the maps
  INLINE void forward_maps(const Batch<T>& batch, Worker<T>& worker, int s) const {
    for (int l = 0; l < maps; l++) stages[l]->forward(batch, worker, {0, 0}, {s, s + L});
  }

  // the memory of all stages, and of one thread's worker
  void place(Arena& arena, int samples, bool training) {
    for (int l = 0; l < n; l++) stages[l]->place(arena, samples, training);
  }
  void place(Arena& arena, Worker<T>& worker, int samples, bool training) const {
    worker.chunk = samples > FEW || maps ? take<T>(arena, (CHUNK + L) * S) : nullptr, worker.block = training ? take<T>(arena, 16 * PANEL) : nullptr;
    worker.few = take<T>(arena, (size_t)FEW * padded(most_in)), worker.row = take<T>(arena, padded(most_in));
    worker.y = take<T>(arena, (size_t)n_outputs * L), worker.t = take<T>(arena, (size_t)n_outputs * L);
    worker.strip = training ? take<T>(arena, (size_t)round_up(most_out, L) * L) : nullptr;
    worker.panels = training && !maps && !sequences ? take<T>(arena, Dense<T>::panel_size(stages[0]->n_in, samples)) : nullptr;
    worker.seen = take<Seen>(arena, padded(stages[0]->n_in) / L), worker.fours = take<int>(arena, padded(most_in) / 4 + 1);
    worker.maps = maps ? take<T>(arena, map_numbers) : nullptr;
    ptrdiff_t scratch = 0;
    for (int l = 0; l < maps - 1; l++) {
      const auto& stage = *static_cast<MapStage<T>*>(stages[l]);
      if (arena.memory) stage.furnish(worker.maps);
      scratch = scratch > stage.scratch() ? scratch : stage.scratch();
    }
    worker.columns = training && scratch ? take<T>(arena, scratch) : nullptr;
    worker.ahead = {}, worker.patience = {}, worker.pieces = 0, worker.watch = set(T(0));
  }

  static size_t objects(const Network& net) {  // bytes that `build` takes
    constexpr size_t each = sizeof(Dense<T>) + sizeof(Conv<T>) + sizeof(Subsample<T>) + sizeof(DropoutMaps<T>) + sizeof(RNN<T>) + sizeof(Shown<T>) + 128;
    return size_t(net.n_layers + 2) * each + 64;
  }

 private:
  template <class K>
  K* add(Arena& objects) {
    K* stage = new (objects.bytes(sizeof(K))) K();
    stage->below = n ? stages[n - 1] : nullptr;
    stages[n++] = stage;
    return stage;
  }
  Stage<T>* make(Arena& objects, const Layer& layer, const Samples& data, bool training, const uint32_t* key, bool of_maps, bool online, int& state) {
    switch (layer.kind) {
      case Kind::dense: return dense(objects, layer, data.element, training, online);
      case Kind::rnn: return recurrent(objects, layer, data.tokens, state);
      case Kind::dropout:
        if (!of_maps) {
          auto* y = add<Dropout<T>>(objects);
          y->random = mask(layer, key);
          return y;
        } else {
          auto* y = add<DropoutMaps<T>>(objects);
          y->random = mask(layer, key), y->g = layer.geometry;
          return y;
        }
      case Kind::conv: return conv(objects, layer);
      case Kind::mean_pool: return pool<MeanPool<T>>(objects, layer);
      case Kind::max_pool: return pool<MaxPool<T>>(objects, layer);
      case Kind::subsample: return subsample(objects, layer);
    }
    return nullptr;
  }
  Stage<T>* dense(Arena& objects, const Layer& layer, Element x, bool training, bool online) {
    auto* y = add<Dense<T>>(objects);
    y->activation = {layer.f, T(layer.parameter)}, y->flat_W = layer.W, y->flat_b = layer.b;
    y->gather = gatherer<T>(x), y->copy = copier<T>(x), y->learns = training && layer.trainable;
    matrix(*y, layer.n_out, layer.n_in, layer.decays);
    y->by_inputs = online && !y->below && y->learns;
    if (y->by_inputs) y->matrix = {parameters, layer.n_in + 1, leading<T>(layer.n_out - 1), padded(layer.n_out - 1), layer.n_out, 0};
    most_in = most_in > layer.n_out ? most_in : layer.n_out;  // for a delta in a row
    most_out = most_out > layer.n_out ? most_out : layer.n_out;
    return y;
  }
  Stage<T>* recurrent(Arena& objects, const Layer& layer, bool tokens, int& state) {
    auto* y = add<RNN<T>>(objects);
    const int rows = layer.n_in + layer.n_out + 1 + (layer.h0 >= 0), width = padded(layer.n_out - 1);
    y->activation = {layer.f, T(layer.parameter)}, y->tokens = tokens && !y->below;
    y->flat_W = layer.W, y->flat_U = layer.U, y->flat_b = layer.b, y->flat_h0 = layer.h0;
    y->matrix = {parameters, rows, leading<T>(layer.n_out - 1), width, layer.n_out, layer.decays ? layer.n_out : 0, layer.n_in + layer.n_out};
    y->state = state, state += layer.n_out;
    most_in = most_in > layer.n_out ? most_in : layer.n_out, most_out = most_out > layer.n_out ? most_out : layer.n_out;
    return y;
  }
  Stage<T>* conv(Arena& objects, const Layer& layer) {
    const Geometry& g = layer.geometry;
    auto* y = add<Conv<T>>(objects);
    y->activation = {layer.f, T(layer.parameter)}, y->flat_W = layer.W, y->flat_b = layer.b, y->g = g;
    y->n = g.channels * g.rows * g.columns;
    matrix(*y, g.maps, y->n, layer.decays);
    auto& below = *static_cast<MapStage<T>*>(y->below);  // it lays out its maps with the margins wanted here
    const int bottom = (g.out_height - 1) * g.down + g.rows - g.top - g.height, right = (g.out_width - 1) * g.across + g.columns - g.left - g.width;
    below.margins = {g.top, g.left, bottom > 0 ? bottom : 0, right > 0 ? right : 0}, below.border = T(layer.border);
    return y;
  }
  template <class K>
  K* pool(Arena& objects, const Layer& layer) {
    K* y = add<K>(objects);
    y->g = layer.geometry;
    return y;
  }
  Stage<T>* subsample(Arena& objects, const Layer& layer) {
    auto* y = pool<Subsample<T>>(objects, layer);
    y->activation = {layer.f, T(layer.parameter)}, y->flat_omega = layer.W, y->flat_b = layer.b;
    matrix(*y, layer.geometry.maps, 1, false);
    return y;
  }
  static Mask<T> mask(const Layer& layer, const uint32_t* key) {
    return {layer.threshold, {key ? key[0] : 0, key ? key[1] : 0}, T(layer.scale), key != nullptr};
  }
  // `rows` rows of n weights and a bias
  void matrix(Stage<T>& stage, int rows, int n, bool decays) {
    stage.matrix = {parameters, rows, leading<T>(n), padded(n), n + 1, decays ? n : 0};
    most_in = most_in > n ? most_in : n;
  }

  void input_maps(Arena& objects, const Layer& first, Element x) {
    const Geometry& g = first.geometry;
    auto* input = add<MapInput<T>>(objects);
    input->n_in = input->n_out = first.n_in, input->gather = gatherer<T>(x);
    input->channels = g.channels, input->height = g.height, input->width = g.width;
  }
  // the end of the maps: now that all margins are known they find their places
  void flatten(Arena& objects, Stage<T>* last, bool training) {
    for (int l = 0; l < n; l++) static_cast<MapStage<T>*>(stages[l])->layout(map_numbers, training);
    auto* y = add<Flatten<T>>(objects);
    y->n_in = y->n_out = last->n_out, y->trainable = true, y->top = last->top;
    maps = n, map_parameters = parameters;
  }
};

}  // namespace deltarule::DELTARULE_ISA
