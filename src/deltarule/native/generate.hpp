// generate.hpp: one token after the other, each drawn from what the network answers to the one before.
//
//   p_k ~ e^{z_k / temperature};  the next token is the first k with p_0 + ... + p_k > u
#pragma once
#include "sequences.hpp"

namespace deltarule::DELTARULE_ISA {

template <class T>
struct Generation {
  Draft draft;
  Chain<T> chain;
  Worker<T> worker;
  Samples data;
  int n_state;
  T *scaled, *chances;           // [K] in whole vectors
  double operations;
  int64_t done;

  static void run(void* context, Member) {
    Generation& self = *static_cast<Generation*>(context);
    const Draft& d = self.draft;
    for (int64_t k = 0; k < d.n_prompt; k++) {
      self.feed(d.prompt[k]);
      if (self.worker.patience.ends(self.operations)) return;
    }
    while (self.done < d.length) {
      const int64_t token = d.tokens[self.done] = self.draw(d.uniform[self.done]);
      if (++self.done < d.length) self.feed(token);
      if (self.worker.patience.ends(self.operations)) return;
    }
  }

  // one step, the state going on
  void feed(int64_t token) {
    data.X = &token;
    Batch<T> batch{&data, nullptr, 0, 1, 0};
    batch.incoming = static_cast<const T*>(data.state), batch.outgoing = static_cast<T*>(data.new_state);
    Tile<T>(chain, batch, 0, n_state).up(worker);
    data.state = data.new_state;
  }

  int64_t draw(double u) const {
    const int K = chain.n_outputs;
    const T* z = chain.top().z;
    int best = 0;
    for (int k = 1; k < K; k++) best = z[k * S] > z[best * S] ? k : best;
    if (draft.temperature == 0) return best;
    for (int k = 0; k < round_up(K, L); k++) scaled[k] = k < K ? (z[k * S] - z[best * S]) / T(draft.temperature) : T(0);
    for (int k = 0; k < K; k += L) store(chances + k, exp(load(scaled + k)));
    double total = 0, sum = 0;
    for (int k = 0; k < K; k++) total += chances[k];
    for (int k = 0; k < K; k++)
      if ((sum += chances[k]) > u * total) return k;
    return best;
  }
};

template <class T>
int64_t generate(const Network& net, const void* theta, const Draft& draft) {
  Generation<T> job{};
  job.draft = draft, job.n_state = net.n_state, job.operations = 2. * L * net.products;
  job.data.element = Element::int64, job.data.bytes = 8, job.data.steps = 1, job.data.tokens = true;
  job.data.state = draft.state, job.data.new_state = draft.new_state;
  Memory objects(Chain<T>::objects(net) + 128);
  job.chain.build(objects, net, job.data, false, nullptr);
  auto place = [&](Arena& arena) {
    job.chain.place(arena, L, false), job.chain.place(arena, job.worker, L, false);
    job.scaled = take<T>(arena, round_up(job.chain.n_outputs, L)), job.chances = take<T>(arena, round_up(job.chain.n_outputs, L));
  };
  Arena count;
  place(count);
  Memory buffers(count.used);
  place(buffers);
  for (int l = 0; l < job.chain.n; l++) job.chain.stages[l]->bind_flat(static_cast<const T*>(theta));
  team_run(1, Generation<T>::run, &job);
  return job.done;
}

}  // namespace deltarule::DELTARULE_ISA
