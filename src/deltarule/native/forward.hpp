// forward.hpp: the outputs of every row. Each thread takes tile after tile of samples through all layers, in
// buffers of its own.
#pragma once
#include "sequences.hpp"
#include "team.hpp"

namespace deltarule::DELTARULE_ISA {

template <class T>
struct Forward {
  const Samples* data;
  int64_t m;
  T *z, *y;
  Chain<T>* chains;
  Worker<T>* workers;
  double operations;           // a tile
  int n_state;
  int64_t next;                // tile that nobody has taken yet
  bool stop;

  static void run(void* context, Member me) {
    Forward& self = *static_cast<Forward*>(context);
    const int width = self.data->steps ? L : S;
    const int64_t tiles = (self.m + width - 1) / width;
    Patience& patience = self.workers[me.id].patience;
    patience = {0, me.id == 0, &self.stop};
    for (int64_t tile; (tile = __atomic_fetch_add(&self.next, 1, __ATOMIC_RELAXED)) < tiles;) {
      if (__atomic_load_n(&self.stop, __ATOMIC_RELAXED)) return;
      if (self.data->steps) self.sequences(self.chains[me.id], self.workers[me.id], tile * L);
      else self.tile(self.chains[me.id], self.workers[me.id], tile * S);
      if (patience.ends(self.data->steps ? 0 : self.operations)) return;
    }
  }

  void tile(const Chain<T>& chain, Worker<T>& worker, int64_t first) const {
    const Batch<T> batch{data, nullptr, first, m - first < S ? int(m - first) : S, 0};
    const Span samples{0, round_up(batch.m, L)};
    for (int s = 0; chain.maps && s < batch.m; s += L) chain.forward_maps(batch, worker, s);
    for (int l = chain.maps; l < chain.n; l++) chain.stages[l]->forward(batch, worker, {0, chain.stages[l]->n_out}, samples);
    answer(chain, worker, batch);
  }
  void sequences(const Chain<T>& chain, Worker<T>& worker, int64_t first) const {
    Batch<T> batch{data, nullptr, first, m - first < L ? int(m - first) : L, 0};
    batch.incoming = data->state ? static_cast<const T*>(data->state) + first * n_state : nullptr;
    batch.outgoing = data->new_state ? static_cast<T*>(data->new_state) + first * n_state : nullptr;
    const Tile<T> tile(chain, batch, 0, n_state);
    tile.up(worker);
    answer(chain, worker, tile.top);
  }
  void answer(const Chain<T>& chain, Worker<T>& worker, const Batch<T>& batch) const {
    const int K = chain.n_outputs;
    for (int s = 0; s < batch.m; s += L) {
      const T* top = at(chain.top().z, K, 0, s);
      chain.output.values(top, worker.y);
      for (int q = 0; q < L && batch.real(s + q); q++)
        for (int k = 0; k < K; k++) {
          const int64_t place = batch.row(s + q) * K + k;
          z[place] = top[k * S + q] + T(0), y[place] = worker.y[k * L + q] + T(0);  // no -0: its sign hangs on what was passed over
        }
    }
  }
};

template <class T>
void forward(const Network& net, const void* theta, const Samples& data, int64_t m, void* z, void* y, int threads) {
  const int width = data.steps ? L : S;
  if (threads > (m + width - 1) / width) threads = int((m + width - 1) / width);
  Memory objects(threads * (sizeof(Chain<T>) + sizeof(Worker<T>) + Chain<T>::objects(net) + 128));
  auto *chains = take<Chain<T>>(objects, threads);
  auto *workers = take<Worker<T>>(objects, threads);
  for (int id = 0; id < threads; id++) chains[id].build(objects, net, data, false, nullptr);
  const int samples = data.steps ? data.steps * L : m < S ? int(m) : S;
  auto place = [&](Arena& arena) {
    for (int id = 0; id < threads; id++) chains[id].place(arena, samples, false), chains[id].place(arena, workers[id], samples, false);
  };
  Arena count;
  place(count);
  Memory buffers(count.used);
  place(buffers);
  for (int id = 0; id < threads; id++)
    for (int l = 0; l < chains[id].n; l++) chains[id].stages[l]->bind_flat(static_cast<const T*>(theta));
  Forward<T> job{&data, m, static_cast<T*>(z), static_cast<T*>(y), chains, workers, 2. * width * net.products * (data.steps ? data.steps : 1), net.n_state, 0, false};
  team_run(threads, Forward<T>::run, &job);
}

}  // namespace deltarule::DELTARULE_ISA
