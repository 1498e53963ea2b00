// sequences.hpp: sixteen sequences through all layers and all their steps, and back, in memory that each thread has for
// itself: nothing waits for anybody at a step, and nothing of theirs leaves the thread's cache while it fits there.
//
// A thread's memory holds, for T steps, 16 T numbers of every unit and of its delta, and once more of recurrent units: it
// grows with T, not with the batch.
#pragma once
#include "chain.hpp"

namespace deltarule::DELTARULE_ISA {

// the sixteen sequences from `first` of a batch on, as samples: their steps, and what the layers above the last step see
template <class T>
struct Tile {
  Batch<T> steps, top;
  const Chain<T>& chain;

  Tile(const Chain<T>& chain, const Batch<T>& batch, int first, int n_state) : steps(batch), top(batch), chain(chain) {
    const int left = batch.m - first;
    steps.order = batch.order ? batch.order + first : nullptr, steps.first = batch.first + first;
    steps.steps = batch.data->steps, steps.m = steps.steps * L, steps.sequences = left < L ? left : L;
    steps.incoming = batch.incoming ? batch.incoming + (ptrdiff_t)first * n_state : nullptr;
    steps.outgoing = batch.outgoing ? batch.outgoing + (ptrdiff_t)first * n_state : nullptr, steps.n_state = n_state;
    top = steps;
    if (chain.last_step < chain.n) top.steps = 1, top.m = L;
  }
  const Batch<T>& at(int stage) const { return stage > chain.last_step ? top : steps; }

  void up(Worker<T>& worker) const {
    for (int l = 0; l < chain.n; l++) {
      Stage<T>& y = *chain.stages[l];
      const Batch<T>& batch = at(l);
      y.pack_inputs(batch, {0, batch.m});
      y.forward(batch, worker, {0, y.n_out}, {0, batch.m});
      if (worker.patience.ends(2. * y.n_in * y.n_out * batch.m)) return;
    }
  }
  void down(Worker<T>& worker, const Descending<T>& to) const {
    for (int l = chain.n - 1; l >= chain.lowest; l--) {
      Stage<T>& y = *chain.stages[l];
      const Batch<T>& batch = at(l);
      y.delta(batch, worker);
      if (y.trainable && y.matrix.rows) y.gradient(batch, worker, to, {0, y.matrix.rows});
      if (l > chain.lowest) y.backward(batch, worker, {0, y.n_in}, {0, batch.m});
      if (worker.patience.ends(4. * y.n_in * y.n_out * batch.m)) return;
    }
  }
};

}  // namespace deltarule::DELTARULE_ISA
