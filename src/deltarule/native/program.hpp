// program.hpp: what a call tells the engine. Plain data, the same for every instruction set and either precision.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace deltarule {

enum class Kind : int { dense, dropout, rnn, conv, mean_pool, max_pool, subsample };
enum class Function : int { identity, sigmoid, tanh, scaled_tanh, relu, leaky_relu, elu, softplus, swish, gelu, exp, softmax };
enum class Cost : int { squared_error, binary_cross_entropy, cross_entropy, absolute, huber, quantile, poisson };
enum class Rule : int { sgd, momentum, nesterov, adagrad, adadelta, rmsprop, adam, adamw, amsgrad, nadam, rprop };
enum class Element : int { uint8, float32, float64, uint16, int64 };  // the last two are tokens

struct Geometry {           // of a layer of maps; all 0 elsewhere, but a dropout's maps
  int channels, height, width;          // of the maps below
  int maps, out_height, out_width;      // of its own
  int rows, columns, down, across;      // of a window, and how far it moves
  int top, left;                        // margins; the windows tell how far below and to the right they look
  const uint8_t* links;                 // [maps][channels], 0 where there is none; null: all are linked
};

struct Layer {
  Kind kind;
  int n_in, n_out;         // numbers of a sample
  Function f;
  double parameter;        // of f: a slope, an alpha
  bool trainable, decays;
  int64_t W, b;            // where they begin in flat theta
  uint32_t threshold;      // dropout: a unit stays where its 32 random bits are not below
  double scale;            //          and is multiplied by this
  Geometry geometry;
  double border;           // in the margins
  int64_t U, h0;           // of a recurrent layer, in theta; h0 -1 where it is 0
  bool last;               // it answers once a sequence
};

struct Network {
  const Layer* layers;
  int n_layers;
  int64_t size;            // of theta
  double products;         // of a weight and an activation, a sample
  bool canonical;          // delta of the output = y - t
  Cost cost;
  double cost_parameter;
  bool sequences, sum;     // the input has steps; their costs add up, and are no mean
  int n_state;             // numbers that a sequence carries from step to step
};

struct Samples {           // row i of X begins at X + i * bytes; uint8 means x / 255
  const void* X;
  Element element;
  int64_t bytes;           // of a row, or a step
  const void* labels;      // of every answer a class, in uint8, uint16 or int64; or
  Element label;           // which of them
  const void* targets;     // rows of n_outputs numbers of the engine's type
  const void* weights;     // null: all 1
  int steps;               // of sequences; 0 elsewhere. Rows are then those of all steps, sequence by sequence
  bool tokens;             // steps are places in a vocabulary
  bool step_weights;       // weights are those of steps
  const uint8_t* time;     // [rows][steps]: whether a step counts; null: all do
  const void* state;       // [batch][n_state] before the first step, or null; of the rows of a batch in their order
  void* new_state;         // behind the last step, or null
};

struct Masks {             // keys of the dropout layers, by stage (see randomness.py); null: no dropout
  const uint32_t (*keys)[2];
};

struct Descent {           // the updates of a slice
  const int64_t *order, *ends;  // rows of all mini-batches in a row, and where each ends
  int64_t batches, first_step;  // steps count from 1
  Rule rule;
  const double* constants;      // [batches][n_constants], see optimizers.hpp
  int n_constants, n_states;
  const void* states[3];        // flat, like theta
  void* new_states[3];
  const double* decays;         // lambda of each update
  double clip_norm, clip_value;  // infinity: none
  double *costs, *penalties;    // of every mini-batch before its update, and (lambda / 2) sum W^2 among them
  const int64_t* keeps;         // the updates, counted from 1, behind which theta is wanted, too
  int64_t n_keeps;
  void* kept;                   // [n_keeps][size]
  const uint8_t* begins;        // of mini-batches of sequences: those that go on from none; null: all
};

struct Draft {               // tokens to be drawn, behind those of a prompt (one at least)
  const int64_t* prompt;
  int64_t n_prompt, length;
  double temperature;        // 0: always the likeliest
  const double* uniform;     // [length], from 0 to 1
  int64_t* tokens;           // [length]
  const void* state;         // [n_state], or null
  void* new_state;
};

constexpr int CONSTANTS = 8;    // at most, an update

struct Engine {
  // z and y of every row, [m][n_outputs]
  void (*forward)(const Network&, const void* theta, const Samples&, int64_t m, void* z, void* y, int threads);
  // C over all rows, and dC/dtheta
  double (*gradient)(const Network&, const void* theta, const Samples&, int64_t m, double weight_decay, void* gradient, int threads);
  // the number of updates made; fewer than asked where a cost, a gradient or an update was not finite
  int64_t (*train)(const Network&, const void* theta, void* new_theta, const Samples&, const Masks&, const Descent&, int threads);
  // the number of tokens drawn; fewer than asked where Python wants the call to end
  int64_t (*generate)(const Network&, const void* theta, const Draft&);
  // a vector function of every number, by name; false if there is none
  bool (*evaluate)(const char* name, const void* x, void* y, int64_t n);
};

#define DELTARULE_ENGINES(ISA)     \
  namespace ISA {                  \
  extern const Engine float_engine;  \
  extern const Engine double_engine; \
  }
DELTARULE_ENGINES(avx512)
DELTARULE_ENGINES(avx2)
DELTARULE_ENGINES(neon)

}  // namespace deltarule
