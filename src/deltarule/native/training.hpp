// training.hpp: the sums over a batch, and the descent by them.
//
// What one thread of a team does in a step (| is a barrier):
//   first layer    its rows of outputs, all samples: these weights never leave its cache      |
//   wide layers    its rows, all samples                                                      |
//   the others     its samples, layer after layer, the output's delta, and back               |
//   wide layers    back: its rows of inputs, all samples                                      |
//   gradients      its rows, all samples, and the update while the sums are near
// Networks with maps (convolution, pooling) go another way up and down: sixteen samples at a time, whoever is free.
// A batch of more than PIECE samples goes piece by piece; the sums go on where they stopped: the same bits.
#pragma once
#include "sequences.hpp"
#include "shares.hpp"

namespace deltarule::DELTARULE_ISA {

constexpr int PIECE = 1024;
constexpr size_t NEAR = 1 << 17;  // bytes

template <class T>
struct Training {
  const Samples* data;
  const Descent* descent;      // null: the gradient alone
  const T* theta;              // flat, as the result is: the next theta, or the gradient
  T* result;
  int64_t m;                   // of the batch whose gradient is wanted
  double weight_decay;         // of that gradient; a descent has its own
  Chain<T> chain;
  Shares shares;
  Worker<T>* workers;
  Parameters<T> p;
  T* costs;                    // C of every sample of a piece
  T* sums;                     // the shards of a network with maps
  struct alignas(64) Taken {
    int64_t shards;            // of a piece, that somebody works on
  } taken[2];                  // even and odd pieces
  T* squares;                  // of every row of decayed parameters, summed
  T *largest, *lengths;        // of every row of the gradient: its largest entry, its squares
  double cost, penalty;        // of the batch at work, and what decay adds to it
  int64_t bad;                 // the first step whose cost, gradient or update was not finite
  int64_t stop;                // Python wants the call to end before this piece,
  bool over;                   // and long tiles before they are done
  double operations;           // a sample, or a sequence
  Chain<T>* own;               // of sequences: each thread's own stages, over the same parameters
  double* tile_costs;          // and the summed costs of each sixteen
  bool sum_steps;              // the costs of a sequence's steps add up
  int n_state;
  bool far;                    // parameters and state do not stay near a core by themselves
  int64_t size;                // of theta

  // one batch

  // false if an earlier step was bad, or Python wants the call to end: then nothing is updated any more
  bool step(Member me, const int64_t* order, int64_t m, int64_t number, Update<T>& u, bool whole, double decay) {
    Worker<T>& worker = workers[me.id];
    double total = weight_of(order, m), sum = 0;
    if (total == 0) total = 1;  // a batch without weight has no gradient
    u.scale = T(1 / total);
    Descending<T> to{p, u, descent ? updater<T>(descent->rule) : nullptr, whole, far, true, {}};
    for (int64_t first = 0; first < m; first += PIECE, to.begins = false) {
      Batch<T> piece{data, order ? order + first : nullptr, first, int(m - first < PIECE ? m - first : PIECE), number};
      worker.pieces++;
      if (data->steps) carry(piece, first, number);
      if (by_tiles()) {
        up_and_down(me, worker, piece, to.shards = shards(piece.m));
      } else {
        forward(me, worker, piece);
        backward(me, worker, piece);
      }
      if (to.begins && decay != 0) own_rows(worker, [&](Stage<T>& y, int row, int i) { squares[row] = row_squares(y.matrix, i); });
      barrier_wait(me.barrier);
      if (const int64_t found = __atomic_load_n(&bad, __ATOMIC_RELAXED); found && found < number) return false;
      if (leaves(worker)) return false;
      gradients(me, worker, piece, to);
      if (me.id) continue;
      if (data->steps)
        for (int s = 0; s < piece.m; s += L) sum += tile_costs[s / L];
      else
        for (int s = 0; s < piece.m; s++) sum += double(piece.weight(s)) * costs[s];
      // only a long step is asked in its middle; threads leave together, at the next piece's barrier
      if (!by_tiles() && m > PIECE && worker.patience.ends(operations * piece.m)) __atomic_store_n(&stop, worker.pieces + 1, __ATOMIC_RELAXED);
    }
    if (me.id == 0) finish_cost(sum / total, number, decay);
    return true;
  }

  // whether sixteen samples at a time go up and down, and leave their sums to be added
  bool by_tiles() const { return chain.maps || data->steps; }

  // of all rows of a batch, or of their steps
  double weight_of(const int64_t* order, int64_t m) const {
    const T* w = static_cast<const T*>(data->weights);
    const int steps = data->steps && chain.last_step >= chain.n ? data->steps : 1;  // that are answered
    if (!w) return double(m) * (sum_steps ? 1 : steps);
    double total = 0;
    for (int64_t s = 0; s < m; s++) {
      const int64_t row = order ? order[s] : s;
      T most = T(0);
      double all = 0;
      for (int t = 0; data->step_weights && t < data->steps; t++) {
        const T x = w[row * data->steps + t];
        most = x > most ? x : most, all += x;
      }
      total += !data->step_weights ? double(w[row]) * (sum_steps ? 1 : steps) : sum_steps ? double(most) : all;
    }
    return total;
  }
  // the states with which a batch of sequences begins, and where it leaves them
  void carry(Batch<T>& piece, int64_t first, int64_t number) const {
    T* after = static_cast<T*>(data->new_state);
    const T* before = static_cast<const T*>(data->state);
    if (descent && descent->begins) before = descent->begins[number - descent->first_step] ? nullptr : after;
    piece.incoming = before ? before + first * n_state : nullptr, piece.outgoing = after ? after + first * n_state : nullptr;
  }

  // the rows' gradients and updates, by the clock: from here on the shares are those drawn up in the last step
  void gradients(Member me, Worker<T>& worker, const Batch<T>& batch, const Descending<T>& to) {
    const double *cuts = shares.cuts[worker.pieces & 1], began = me.size > 1 ? nanoseconds() : 0;
    double work = 0;
    worker.cuts = cuts + me.id;
    for (int l = chain.lowest; l < chain.n; l++)
      if (Stage<T>& y = *chain.stages[l]; y.trainable) {
        const Span rows = worker.share(y.matrix.rows);
        if (data->steps) add_shards(y.matrix, worker, to, rows);
        else y.gradient(batch, worker, to, rows);
        work += double(rows.last - rows.first) * y.matrix.width * batch.m;
      }
    if (me.size == 1) return;
    shares.measured(me.id, work, nanoseconds() - began);
    if (me.id == 0) shares.draw(cuts, shares.cuts[~worker.pieces & 1]);
  }

  void finish_cost(double mean, int64_t number, double decay) {
    penalty = 0;
    if (decay != 0) {
      double total = 0;
      for (int row = 0; row < chain.rows; row++) total += squares[row];
      penalty = decay / 2 * total;
    }
    cost = mean + penalty;
    if (!(cost - cost == 0)) report(number);
  }
  void report(int64_t number) {
    int64_t none = 0;
    __atomic_compare_exchange_n(&bad, &none, number, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  }

  void forward(Member me, Worker<T>& worker, const Batch<T>& batch) {
    const Span mine = samples(worker, batch);
    if (data->labels)          // they lie anywhere, and will be wanted at the top
      for (int s = mine.first; s < mine.last; s++) __builtin_prefetch(static_cast<const int64_t*>(data->labels) + batch.row(s));
    for (int l = 0; l < chain.n; l++) {
      Stage<T>& y = *chain.stages[l];
      if (l ? y.by_rows || chain.stages[l - 1]->by_rows : !y.by_rows) barrier_wait(me.barrier);
      if (mine.first < mine.last) y.pack_inputs(batch, mine);
      visit(y, worker, batch, y.n_out, mine, [&](Span rows, Span some) { y.forward(batch, worker, rows, some); });
    }
    if (chain.top().by_rows) barrier_wait(me.barrier);
    for (int s = mine.first; s < mine.last; s += L) output(batch, worker, s);
  }

  void output(const Batch<T>& batch, Worker<T>& worker, int s) { store(costs + s, output(chain, batch, worker, s)); }
  V<T> output(const Chain<T>& chain, const Batch<T>& batch, Worker<T>& worker, int s) const {
    const int K = chain.n_outputs;
    T w[L];
    int64_t row[L];
    for (int q = 0; q < L; q++) row[q] = batch.row(s + q), w[q] = batch.weight(s + q);
    if (data->labels) {
      int32_t label[L];        // as short as lanes are
      for (int q = 0; q < L; q++) label[q] = int32_t(whole_at(data->labels, data->label, row[q]));
      for (int k = 0; k < K; k++)
        for (int q = 0; q < L; q++) worker.t[k * L + q] = T(label[q] == k);
    } else {
      for (int q = 0; q < L; q++)
        for (int k = 0; k < K; k++) worker.t[k * L + q] = static_cast<const T*>(data->targets)[row[q] * K + k];
    }
    return chain.output.delta(at(chain.top().z, K, 0, s), worker.y, worker.t, load(w), at(chain.top().d, K, 0, s));
  }

  void backward(Member me, Worker<T>& worker, const Batch<T>& batch) {
    const Span mine = samples(worker, batch);
    bool split = false;        // by rows, in the stage above
    for (int l = chain.n - 1; l > chain.lowest; l--) {
      Stage<T>& y = *chain.stages[l];
      if (y.by_rows || split) barrier_wait(me.barrier);
      visit(y, worker, batch, y.n_in, mine, [&](Span rows, Span some) { y.backward(batch, worker, rows, some); });
      split = y.by_rows;
    }
  }

  // Networks with maps: a shard's tiles one after the other, each up through all layers and back while it is in cache
  void up_and_down(Member me, Worker<T>& worker, const Batch<T>& batch, const Shards<T>& to) {
    int64_t &next = taken[worker.pieces & 1].shards, shard;
    barrier_wait(me.barrier);  // the parameters are those of the last step
    while ((shard = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) < to.n)
      for (int t = 0; t < to.tiles; t++) {
        const int s = (int(shard) * to.tiles + t) * L;
        if (s >= batch.m || leaves(worker)) break;     // behind the next barrier all leave together
        if (data->steps) sequences(own[me.id], batch, worker, s, to.sums + shard * to.size, t == 0);
        else tile(batch, worker, s, to.sums + shard * to.size, t == 0);
        if (worker.patience.ends(data->steps ? 0 : operations * L) && me.id == 0) __atomic_store_n(&stop, worker.pieces, __ATOMIC_RELAXED);
      }
    if (me.id == 0) __atomic_store_n(&taken[~worker.pieces & 1].shards, 0, __ATOMIC_RELAXED);  // of the next piece
  }
  bool leaves(const Worker<T>& worker) const {
    const int64_t found = __atomic_load_n(&stop, __ATOMIC_RELAXED);
    return found && found <= worker.pieces;
  }
  void tile(const Batch<T>& batch, Worker<T>& worker, int s, T* shard, bool begins) {
    const Span some{s, s + L};
    chain.forward_maps(batch, worker, s);
    for (int l = chain.maps; l < chain.n; l++) {
      Stage<T>& y = *chain.stages[l];
      y.pack_inputs(batch, some);
      y.forward(batch, worker, {0, y.n_out}, some);
    }
    output(batch, worker, s);
    for (int l = chain.n - 1; l >= chain.lowest; l--) {
      Stage<T>& y = *chain.stages[l];
      y.delta(batch, worker);
      if (y.trainable && y.matrix.rows) y.tile_gradient(worker, shard, begins);
      if (l > chain.lowest) y.backward(batch, worker, {0, y.n_in}, some);
    }
  }
  void sequences(const Chain<T>& mine, const Batch<T>& batch, Worker<T>& worker, int first, T* shard, bool begins) {
    const Tile<T> tile(mine, batch, first, n_state);
    tile.up(worker);
    double sum = 0;
    for (int s = 0; s < tile.top.m; s += L) {
      T c[L];
      store(c, output(mine, tile.top, worker, s));
      for (int q = 0; q < L && tile.top.real(s + q); q++) sum += double(tile.top.weight(s + q)) * c[q];
    }
    tile_costs[first / L] = sum;
    tile.down(worker, {{nullptr, {}, shard}, {}, nullptr, true, false, begins, {}});
  }
  // how many tiles share the sums: by the network alone, so that the bits do not depend on the batches of a call
  Shards<T> shards(int m) const {
    const ptrdiff_t size = chain.sequences ? chain.parameters : chain.map_parameters;
    const ptrdiff_t most = ptrdiff_t(PIECE / L) * size, tiles = (most + SHARDS - 1) / SHARDS;
    Shards<T> q{sums, size, tiles < 1 ? 1 : int(tiles), 0};
    q.n = (m + q.tiles * L - 1) / (q.tiles * L);
    return q;
  }

  static Span samples(const Worker<T>& worker, const Batch<T>& batch) { return worker.share(round_up(batch.m, L), L); }

  // f(rows, samples) for what this thread has to do of a stage of n features, if anything; X is gathered even for no rows,
  // as the next share may have some
  template <class F>
  INLINE void visit(const Stage<T>& y, const Worker<T>& worker, const Batch<T>& batch, int n, Span mine, F&& f) {
    const Span rows = y.by_rows ? worker.share(n) : Span{0, n}, some = y.by_rows ? Span{0, round_up(batch.m, L)} : mine;
    if ((rows.first < rows.last || !y.below) && some.first < some.last) f(rows, some);
  }

  // f(stage, its row's number among all, the row) for the rows of parameters that are this thread's
  template <class F>
  INLINE void own_rows(const Worker<T>& worker, F&& f) {
    int before = 0;
    for (int l = 0; l < chain.n; before += chain.stages[l++]->matrix.rows) {
      const Span rows = worker.share(chain.stages[l]->matrix.rows);
      for (int i = rows.first; i < rows.last; i++) f(*chain.stages[l], before + i, i);
    }
  }

  // the sum of the squares of one row of decayed parameters
  T row_squares(const Matrix& q, int i) const {
    V<T> total = set(T(0));
    const T* w = p.theta + q.offset + (ptrdiff_t)i * q.ld;
    for (int j = 0; j < q.decayed_in(i); j += L) {
      const V<T> x = load(w + j) * below<T>(q.decayed_in(i) - j);
      total = fma(x, x, total);
    }
    return deltarule::DELTARULE_ISA::sum(total);
  }

  Rectangle<T> whole_row(const Matrix& q, int i) const {
    const ptrdiff_t place = q.offset + (ptrdiff_t)i * q.ld;
    return {place, q.ld, p.gradient + place, q.ld, 1, q.width, q.used, q.decayed_in(i)};
  }

  // the descent

  void update_whole(Member me, Worker<T>& worker, Update<T> u) {
    const double norm = descent->clip_norm;
    if (norm < __builtin_inf()) {
      own_rows(worker, [&](Stage<T>& y, int row, int i) {
        largest[row] = lengths[row] = T(0);
        if (!y.trainable) return;
        const Rectangle<T> q = whole_row(y.matrix, i);
        finish_gradient(q, p, u);
        V<T> most = set(T(0));
        for (int j = 0; j < q.width; j += L) {
          const V<T> size = abs(load(q.g + j));
          most = pick(size > most, size, pick(size == size, most, size));  // NaN stays
        }
        T x[L];
        store(x, most);
        for (int k = 0; k < L; k++) largest[row] = x[k] > largest[row] || x[k] != x[k] ? x[k] : largest[row];
      });
      u.scale = clip_factor(me, worker, norm), u.decay = 0, u.clip = T(__builtin_inf());
    }
    own_rows(worker, [&](Stage<T>& y, int, int i) {
      if (y.trainable) updater<T>(descent->rule)(whole_row(y.matrix, i), p, u, worker.watch);
    });
  }

  // norm / |g| if |g| is longer, else 1; no square overflows
  T clip_factor(Member me, const Worker<T>& worker, double norm) {
    barrier_wait(me.barrier);
    T most = T(0);
    for (int row = 0; row < chain.rows; row++) most = largest[row] > most || largest[row] != largest[row] ? largest[row] : most;
    const T inverse = most > 0 ? 1 / most : T(1);
    own_rows(worker, [&](Stage<T>& y, int row, int i) {
      if (!y.trainable) return;
      const Rectangle<T> q = whole_row(y.matrix, i);
      V<T> total = set(T(0));
      for (int j = 0; j < q.width; j += L) {
        const V<T> x = load(q.g + j) * set(inverse);
        total = fma(x, x, total);
      }
      lengths[row] = deltarule::DELTARULE_ISA::sum(total);
    });
    barrier_wait(me.barrier);
    double total = 0;
    for (int row = 0; row < chain.rows; row++) total += lengths[row];
    const double length = double(most) * __builtin_sqrt(total);
    return length > norm ? T(norm / length) : most - most == 0 ? T(1) : most - most;
  }

  void descend(Member me) {
    const Descent& to = *descent;
    Worker<T>& worker = workers[me.id];
    worker.ahead = {nullptr, nullptr, static_cast<const char*>(data->X), data->bytes, to.order, to.order, to.order + to.ends[to.batches - 1]};
    int64_t first = 0, keeps = 0;
    for (int64_t k = 0; k < to.batches; first = to.ends[k++]) {
      const int64_t m = to.ends[k] - first;
      const int64_t number = to.first_step + k;
      Update<T> u{to.rule, {}, T(0), T(to.decays[k]), T(to.clip_value)};
      for (int c = 0; c < to.n_constants; c++) u.k[c] = T(to.constants[k * to.n_constants + c]);
      const bool whole = m > PIECE || to.clip_norm < __builtin_inf();
      if (!step(me, to.order + first, m, number, u, whole, to.decays[k])) return;
      if (whole) update_whole(me, worker, u);
      if (me.id == 0) to.costs[k] = cost, to.penalties[k] = penalty;
      const T seen = deltarule::DELTARULE_ISA::sum(worker.watch);
      if (seen != seen) report(number);
      if (keeps < to.n_keeps && to.keeps[keeps] == k + 1) keep(me, keeps++);
    }
  }

  // theta as it is now; nobody changes it before the barrier of the next step
  void keep(Member me, int64_t k) const {
    barrier_wait(me.barrier);
    each_part(me, [&](const Stage<T>& y, Span rows) { y.empty(p.theta, static_cast<T*>(descent->kept) + k * size, rows); });
  }

  static void run(void* context, Member me) {
    Training& self = *static_cast<Training*>(context);
    if (me.size != self.shares.size) self.shares.begin(me.size);  // alone after all
    self.workers[me.id].cuts = self.shares.cuts[0] + me.id;
    self.workers[me.id].patience = {0, me.id == 0, &self.over};
    self.fill(me);
    barrier_wait(me.barrier);
    if (self.descent) self.descend(me);
    else self.whole_gradient(me);
    barrier_wait(me.barrier);
    self.empty(me);
  }

  void whole_gradient(Member me) {
    Update<T> u{Rule::sgd, {}, T(0), T(weight_decay), T(__builtin_inf())};
    if (!step(me, nullptr, m, 1, u, true, weight_decay)) return;
    own_rows(workers[me.id], [&](Stage<T>& y, int, int i) {
      if (y.trainable) finish_gradient(whole_row(y.matrix, i), p, u);
    });
  }

  // in and out: each thread has its part of the rows

  void fill(Member me) const {
    each_part(me, [&](const Stage<T>& y, Span rows) {
      y.fill(theta, p.theta, rows);
      watch(y.matrix, rows, workers[me.id].watch);
      if (descent)
        for (int k = 0; k < descent->n_states; k++) y.fill(static_cast<const T*>(descent->states[k]), p.state[k], rows);
    });
  }
  // a parameter that is not finite is seen at once: behind an input that is zero no product would show it
  void watch(const Matrix& q, Span rows, V<T>& seen) const {
    for (int i = rows.first; i < rows.last; i++)
      for (int j = 0; j < q.width; j += L) {
        const V<T> x = load(p.theta + q.offset + (ptrdiff_t)i * q.ld + j);
        seen = fma(pick(below<T>(q.used - j) > set(T(0)), x, set(T(0))), set(T(0)), seen);
      }
  }
  void empty(Member me) const {
    each_part(me, [&](const Stage<T>& y, Span rows) {
      y.empty(descent ? p.theta : p.gradient, result, rows);
      if (descent)
        for (int k = 0; k < descent->n_states; k++) y.empty(p.state[k], static_cast<T*>(descent->new_states[k]), rows);
    });
  }
  template <class F>
  INLINE void each_part(Member me, F&& f) const {
    for (int l = 0; l < chain.n; l++) {
      const int64_t n = chain.stages[l]->matrix.rows;
      f(*chain.stages[l], {int(n * me.id / me.size), int(n * (me.id + 1) / me.size)});
    }
  }

  // what it needs

  void place(Arena& arena, int threads, int samples, int states, bool whole) {
    for (int id = 0; id < (own ? threads : 0); id++) own[id].place(arena, data->steps * L, true);
    if (!own) chain.place(arena, samples, true);
    for (int id = 0; id < threads; id++) chain.place(arena, workers[id], own ? data->steps * L : samples, true);
    const size_t n = size_t(chain.parameters) + 2 * L;  // a few more: columns are read by whole vectors
    p.theta = take<T>(arena, n), p.gradient = whole ? take<T>(arena, n) : nullptr;
    for (int k = 0; k < 3; k++) p.state[k] = k < states ? take<T>(arena, n) : nullptr;
    const Shards<T> all = shards(samples);
    sums = by_tiles() ? take<T>(arena, all.n * all.size) : nullptr, tile_costs = take<double>(arena, samples / L);
    costs = take<T>(arena, samples), squares = take<T>(arena, chain.rows);
    largest = take<T>(arena, chain.rows), lengths = take<T>(arena, chain.rows);
  }
  // f() with everything in its place
  template <class F>
  static void prepare(Training& self, const Network& net, const Masks* masks, int threads, int samples, int states, bool whole, bool online, F&& f) {
    const bool sequences = self.data->steps > 0;
    self.sum_steps = net.sum, self.n_state = net.n_state, self.size = net.size;
    Memory objects((1 + sequences * threads) * (Chain<T>::objects(net) + sizeof(Chain<T>)) + threads * (sizeof(Worker<T>) + 64) + Shares::bytes(threads) + 128);
    self.workers = take<Worker<T>>(objects, threads);
    self.shares.place(objects, threads), self.shares.begin(threads);
    self.chain.build(objects, net, *self.data, true, masks, online);
    self.own = sequences ? take<Chain<T>>(objects, threads) : nullptr;
    for (int id = 0; sequences && id < threads; id++) self.own[id].build(objects, net, *self.data, true, masks);
    samples = round_up(samples < PIECE ? samples : PIECE, L);
    Arena count;
    self.place(count, threads, samples, states, whole);
    Memory buffers(count.used);
    self.place(buffers, threads, samples, states, whole);
    self.far = size_t(self.chain.parameters) * (1 + states) * sizeof(T) > NEAR;
    for (int l = 0; l < self.chain.n; l++) self.chain.stages[l]->bind(self.p.theta);
    for (int id = 0; sequences && id < threads; id++)
      for (int l = 0; l < self.own[id].n; l++) self.own[id].stages[l]->bind(self.p.theta);
    f();
  }
};

template <class T>
double gradient(const Network& net, const void* theta, const Samples& data, int64_t m, double weight_decay, void* gradient, int threads) {
  Training<T> job{&data, nullptr, static_cast<const T*>(theta), static_cast<T*>(gradient), m, weight_decay, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, 0, 0, 0, 0, false, 6. * net.products * (data.steps ? data.steps : 1), nullptr, nullptr, false, 0, false, 0};
  Training<T>::prepare(job, net, nullptr, threads, int(m < PIECE ? m : PIECE), 0, true, false, [&] { team_run(threads, Training<T>::run, &job); });
  return job.cost;
}

template <class T>
int64_t train(const Network& net, const void* theta, void* new_theta, const Samples& data, const Masks& masks, const Descent& to, int threads) {
  Training<T> job{&data, &to, static_cast<const T*>(theta), static_cast<T*>(new_theta), 0, 0, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, 0, 0, 0, 0, false, 6. * net.products * (data.steps ? data.steps : 1), nullptr, nullptr, false, 0, false, 0};
  int64_t most = 0;
  for (int64_t k = 0, first = 0; k < to.batches; first = to.ends[k++]) most = to.ends[k] - first > most ? to.ends[k] - first : most;
  const bool whole = most > PIECE || to.clip_norm < __builtin_inf();
  bool decays = false;
  for (int64_t k = 0; k < to.batches; k++) decays = decays || to.decays[k] != 0;
  const bool online = !data.steps && most <= FEW && !whole && !decays && to.rule != Rule::adamw;
  Training<T>::prepare(job, net, &masks, threads, int(most < PIECE ? most : PIECE), to.n_states, whole, online, [&] { team_run(threads, Training<T>::run, &job); });
  return job.bad ? job.bad - to.first_step : to.batches;
}

}  // namespace deltarule::DELTARULE_ISA
