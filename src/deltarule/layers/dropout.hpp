// dropout.hpp: the twin of dropout.py.
//
//   forward    a = m * a_prev, m = [bits >= threshold] scale; a = a_prev outside training
//   backward   da_prev = m * d
//
// 32 random bits for every (step, row of the data set, unit), see randomness.py.
#pragma once
#include "native/stage.hpp"

namespace deltarule::DELTARULE_ISA {

INLINE uint32_t mix(uint32_t h) {  // a bijection in which every bit moves every other
  h = (h ^ (h >> 16)) * 0x7FEB352Du;
  h = (h ^ (h >> 15)) * 0x846CA68Bu;
  return h ^ (h >> 16);
}

template <class T>
struct Dropout : Stage<T> {
  uint32_t threshold, key[2];
  T scale;
  bool masked;     // in training; otherwise a = a_prev
  T* mask;         // like a

  void place(Arena& arena, int samples, bool training) override {
    this->place_activity(arena, samples, training, false);
    mask = masked ? take<T>(arena, tile_size(this->n_out) * ((samples + S - 1) / S)) : nullptr;
  }

  void forward(const Batch<T>& batch, Worker<T>&, Span, Span samples) override {
    for (int s = samples.first; s < samples.last; s += L) {
      const T* x = at(this->below->a, this->n_in, 0, s);
      T *y = at(this->a, this->n_out, 0, s), *m = masked ? at(mask, this->n_out, 0, s) : nullptr;
      uint32_t h[L];
      if (masked) {
        const uint32_t step = mix(mix(uint32_t(batch.step) ^ key[0]) ^ uint32_t(uint64_t(batch.step) >> 32));
        for (int q = 0; q < L; q++) {
          uint64_t row = uint64_t(batch.row(s + q));
          h[q] = mix(mix(uint32_t(row) ^ step) ^ uint32_t(row >> 32));
        }
      }
      for (int i = 0; i < this->n_out; i++) {
        V<T> v = load(x + i * S);
        if (masked) {
          for (int q = 0; q < L; q++) m[i * S + q] = mix(h[q] + uint32_t(i) * 0x9E3779B9u + key[1]) >= threshold ? scale : T(0);
          v = v * load(m + i * S);
        }
        store(y + i * S, v);
      }
    }
  }

  void backward(const Batch<T>&, Worker<T>&, Span, Span samples) override {
    for (int s = samples.first; s < samples.last; s += L) {
      const T *d = at(this->d, this->n_out, 0, s), *m = masked ? at(mask, this->n_out, 0, s) : nullptr;
      T* e = at(this->below->d, this->n_in, 0, s);
      for (int i = 0; i < this->n_in; i++) store(e + i * S, masked ? load(m + i * S) * load(d + i * S) : load(d + i * S));
      this->below->through(0, this->n_in, s, L);
    }
  }
};

}  // namespace deltarule::DELTARULE_ISA
