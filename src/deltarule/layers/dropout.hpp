// dropout.hpp: the twin of dropout.py.
//
//   forward    a = m * a_prev, m = [bits >= threshold] scale; a = a_prev outside training
//   backward   da_prev = m * d
//
// 32 random bits for every (step, row of the data set, unit), see randomness.py.
#pragma once
#include "native/maps.hpp"

namespace deltarule::DELTARULE_ISA {

INLINE uint32_t mix(uint32_t h) {  // a bijection in which every bit moves every other
  h = (h ^ (h >> 16)) * 0x7FEB352Du;
  h = (h ^ (h >> 15)) * 0x846CA68Bu;
  return h ^ (h >> 16);
}

template <class T>
struct Mask {
  uint32_t threshold, key[2];
  T scale;
  bool masked;     // in training; otherwise a = a_prev

  // a hash of the step and the row, for sixteen samples from s on; with a unit it becomes that unit's bits
  INLINE void rows(const Batch<T>& batch, int s, uint32_t (&h)[L]) const {
    const uint32_t step = mix(mix(uint32_t(batch.step) ^ key[0]) ^ uint32_t(uint64_t(batch.step) >> 32));
    for (int q = 0; q < L; q++) {
      const uint64_t row = uint64_t(batch.sequence(s + q));
      h[q] = mix(mix(uint32_t(row) ^ step) ^ uint32_t(row >> 32));
    }
  }
  INLINE void unit(const uint32_t (&h)[L], int i, T* m) const {
    for (int q = 0; q < L; q++) m[q] = mix(h[q] + uint32_t(i) * 0x9E3779B9u + key[1]) >= threshold ? scale : T(0);
  }
};

template <class T>
struct Dropout : Stage<T> {
  Mask<T> random;
  T* mask;         // like a

  void place(Arena& arena, int samples, bool training) override {
    this->place_activity(arena, samples, training, false);
    mask = random.masked ? take<T>(arena, tile_size(this->n_out) * ((samples + S - 1) / S)) : nullptr;
  }

  void forward(const Batch<T>& batch, Worker<T>&, Span, Span samples) override {
    for (int s = samples.first; s < samples.last; s += L) {
      const T* x = at(this->below->a, this->n_in, 0, s);
      T *y = at(this->a, this->n_out, 0, s), *m = random.masked ? at(mask, this->n_out, 0, s) : nullptr;
      const int first = batch.steps ? s / L * this->n_out : 0;  // the steps of a sequence have units of their own
      uint32_t h[L];
      if (m) random.rows(batch, s, h);
      for (int i = 0; i < this->n_out; i++) {
        V<T> v = load(x + i * S);
        if (m) random.unit(h, i + first, m + i * S), v = v * load(m + i * S);
        store(y + i * S, v);
      }
    }
  }

  void backward(const Batch<T>&, Worker<T>&, Span, Span samples) override {
    for (int s = samples.first; s < samples.last; s += L) {
      const T *d = at(this->d, this->n_out, 0, s), *m = random.masked ? at(mask, this->n_out, 0, s) : nullptr;
      T* e = at(this->below->d, this->n_in, 0, s);
      for (int i = 0; i < this->n_in; i++) store(e + i * S, m ? load(m + i * S) * load(d + i * S) : load(d + i * S));
      this->below->through(0, this->n_in, s, L);
    }
  }
};

// the same on maps; units count channel by channel and row by row
template <class T>
struct DropoutMaps : MapStage<T> {
  using MapStage<T>::a, MapStage<T>::d;
  Mask<T> random;
  Geometry g;
  Maps<T> mask;

  void layout(ptrdiff_t& used, bool training) override {
    this->layout_activity(used, training, g.maps, g.out_height, g.out_width, false);
    mask = random.masked ? Maps<T>::place(used, g.maps, g.out_height, g.out_width, {}) : Maps<T>{};
  }
  void forward(const Batch<T>& batch, Worker<T>& worker, Span, Span samples) override {
    uint32_t h[L];
    if (random.masked) random.rows(batch, samples.first, h);
    each_unit([&](int i, int c, int y, int x) INLINE_LAMBDA {
      V<T> v = load(this->maps_below().a.at(worker.maps, c, y, x));
      if (random.masked) {
        T* m = mask.at(worker.maps, c, y, x);
        random.unit(h, i, m), v = v * load(m);
      }
      store(a.at(worker.maps, c, y, x), v);
    });
  }
  void backward(const Batch<T>&, Worker<T>& worker, Span, Span) override {
    each_unit([&](int, int c, int y, int x) INLINE_LAMBDA {
      const V<T> e = load(d.at(worker.maps, c, y, x));
      store(this->maps_below().d.at(worker.maps, c, y, x), random.masked ? load(mask.at(worker.maps, c, y, x)) * e : e);
    });
  }

 private:
  template <class F>
  INLINE void each_unit(F&& f) const {
    for (int c = 0, i = 0; c < g.maps; c++)
      for (int y = 0; y < g.out_height; y++)
        for (int x = 0; x < g.out_width; x++) f(i++, c, y, x);
  }
};

}  // namespace deltarule::DELTARULE_ISA
