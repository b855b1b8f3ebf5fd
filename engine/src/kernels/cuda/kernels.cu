// The passes between the products of a network, each in one kernel: what the tensor library does in up to ten, with
// a read and a write of the whole activation each time. Values are f32, f16 or bf16; weights, biases and sums are f32,
// and a result is rounded once, when it is stored.
//
// How work is cut into blocks is the caller's (geometry.rs): any grid and any power of two of threads up to
// MOST_THREADS (where no threads meet, any number) gives the same result but for the order of sums. Loops stride over
// what a grid does not cover, and all positions are 64 bits wide, since an activation of 2^31 values is one of a large
// picture.
//
// The same text is compiled for the CPU to be tested where there is no card (tests/parity/cuda_emulation.cpp). So
// threads meet at __syncthreads alone, and nothing depends on how many of them run in step.

#ifdef PENTIMENTO_EMULATION
#include "cuda_emulation.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

typedef unsigned long long u64;

// As THREADS in geometry.rs; blocks may be smaller.
constexpr unsigned MOST_THREADS = 256;

__device__ inline float widened(float value) { return value; }
__device__ inline float widened(__half value) { return __half2float(value); }
__device__ inline float widened(__nv_bfloat16 value) { return __bfloat162float(value); }

__device__ inline void store(float *to, float value) { *to = value; }
__device__ inline void store(__half *to, float value) { *to = __float2half_rn(value); }
__device__ inline void store(__nv_bfloat16 *to, float value) { *to = __float2bfloat16_rn(value); }

// ---- Pointwise functions -------------------------------------------------------------------------------------------

// The numbers of `Function` in mod.rs.
enum Function { NONE = 0, SILU = 1, GELU = 2, QUICK_GELU = 3, RELU = 4 };

__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// By the error function: exact, as the networks were trained with it.
__device__ inline float gelu(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f)); }

// The branch is the same for all threads, and costs nothing beside the memory.
__device__ inline float applied(int function, float x) {
  switch (function) {
  case SILU:
    return x * sigmoid(x);
  case GELU:
    return gelu(x);
  case QUICK_GELU:
    return x * sigmoid(1.702f * x);
  case RELU:
    return x < 0.0f ? 0.0f : x; // lets NaN through, so that a fault shows
  default:
    return x;
  }
}

// ---- Statistics ----------------------------------------------------------------------------------------------------

// Of some values: how many, their mean, and the sum of squared deviations from it.
struct Moments {
  float count;
  float mean;
  float deviations;
};

// Of two sets together (Chan, Golub, LeVeque 1979). Never by the difference of two large sums, which in f32 loses a
// small variance beside a large mean.
__device__ inline Moments merged(Moments a, Moments b) {
  if (a.count == 0.0f)
    return b;
  if (b.count == 0.0f)
    return a;
  float count = a.count + b.count;
  float apart = b.mean - a.mean;
  float share = b.count / count;
  return {count, a.mean + apart * share, a.deviations + b.deviations + apart * apart * a.count * share};
}

// Of all threads of the block, for all of them. In a fixed order: the same input gives the same bits.
__device__ inline Moments merged_over_block(Moments own) {
  __shared__ Moments all[MOST_THREADS];
  all[threadIdx.x] = own;
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half)
      all[threadIdx.x] = merged(all[threadIdx.x], all[threadIdx.x + half]);
  }
  __syncthreads();
  Moments whole = all[0];
  __syncthreads(); // before the next call writes
  return whole;
}

__device__ inline float summed_over_block(float own) {
  __shared__ float all[MOST_THREADS];
  all[threadIdx.x] = own;
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half)
      all[threadIdx.x] += all[threadIdx.x + half];
  }
  __syncthreads();
  float whole = all[0];
  __syncthreads(); // before the next call writes
  return whole;
}

// This thread's first position along the grid's x, and the way to its next one.
__device__ inline u64 first_position() { return (u64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline u64 positions_apart() { return (u64)gridDim.x * blockDim.x; }

// ---- Group norm ----------------------------------------------------------------------------------------------------
// Channels first, a group of a picture is one run of memory. A large run is shared by many blocks (those along x, a
// "split" each), whose moments the second kernel merges: a group of an autoencoder's last level has a million values,
// and 32 blocks alone would leave most of a card idle.

// Of values one by one, as sums of differences from the first: no division for each value, and no loss to a large mean.
struct Sums {
  float shift = 0.0f, sum = 0.0f, squares = 0.0f;
  u64 count = 0;

  __device__ inline void add(float value) {
    if (count == 0)
      shift = value;
    float apart = value - shift;
    sum += apart;
    squares += apart * apart;
    count += 1;
  }

  __device__ inline Moments moments() const {
    if (count == 0)
      return {0.0f, 0.0f, 0.0f};
    float mean = sum / (float)count;
    return {(float)count, shift + mean, squares - sum * mean};
  }
};

__device__ inline void store_partial(float *to, Moments moments) {
  to[0] = moments.count;
  to[1] = moments.mean;
  to[2] = moments.deviations;
}

__device__ inline Moments partial(const float *from) { return {from[0], from[1], from[2]}; }

// What a value's distance from the mean is multiplied with.
__device__ inline float scale_of(Moments whole, float weight, float epsilon) {
  // A variance cannot be negative, but its rounding error can.
  float variance = fmaxf(whole.deviations / whole.count, 0.0f);
  return weight / sqrtf(variance + epsilon);
}

// x: (runs, length). partials: (runs, splits, 3), splits being the grid's width.
template <typename T> __device__ inline void sums(const T *x, float *partials, u64 runs, u64 length) {
  for (u64 run = blockIdx.y; run < runs; run += gridDim.y) {
    const T *values = x + run * length;
    Sums own;
    for (u64 at = first_position(); at < length; at += positions_apart())
      own.add(widened(values[at]));
    Moments whole = merged_over_block(own.moments());
    if (threadIdx.x == 0)
      store_partial(partials + (run * gridDim.x + blockIdx.x) * 3, whole);
  }
}

// x, y: (planes, length), a plane being one channel of one picture. A block has one plane at a time, so that nothing
// is divided for each value to find its channel. `group`: channels of a group.
template <typename T>
__device__ inline void normalised(const T *x, T *y, const float *partials, const float *weight, const float *bias,
                                  u64 planes, u64 length, u64 channels, u64 group, u64 splits, float epsilon,
                                  int function) {
  for (u64 plane = blockIdx.y; plane < planes; plane += gridDim.y) {
    // Channels are whole groups, so that runs are counted through all pictures as planes are.
    const float *parts = partials + plane / group * splits * 3;
    Moments own = {0.0f, 0.0f, 0.0f};
    for (u64 split = threadIdx.x; split < splits; split += blockDim.x)
      own = merged(own, partial(parts + split * 3));
    Moments whole = merged_over_block(own);
    u64 channel = plane % channels;
    float scale = scale_of(whole, weight[channel], epsilon);
    float offset = bias[channel];
    const T *from = x + plane * length;
    T *to = y + plane * length;
    for (u64 at = first_position(); at < length; at += positions_apart())
      store(to + at, applied(function, (widened(from[at]) - whole.mean) * scale + offset));
  }
}

// ---- Group norm, channels last -------------------------------------------------------------------------------------
// The values of a group lie apart, those of a channel too. Threads side by side take channels side by side, so that
// they read together, and each adds up its own channel. A second kernel merges a group's channels and says what each
// value is multiplied with and what is added; the third is a plain pass.

// x: (pictures, pixels, channels). Of `width` threads side by side each takes a channel, and those `width` further on;
// where a block has more threads, the next `width` take the next pixel. partials: (pictures, parts, channels, 3), parts
// being the grid's width times the rows of threads in a block.
template <typename T>
__device__ inline void sums_last(const T *x, float *partials, u64 pictures, u64 pixels, u64 channels, int width) {
  unsigned rows = blockDim.x / width, row = threadIdx.x / width;
  u64 parts = (u64)gridDim.x * rows, part = (u64)blockIdx.x * rows + row;
  for (u64 picture = blockIdx.y; picture < pictures; picture += gridDim.y)
    // Threads beyond the last whole row have nothing to do, and none meets another here.
    for (u64 channel = threadIdx.x % width; row < rows && channel < channels; channel += width) {
      const T *values = x + picture * pixels * channels + channel;
      Sums own;
      for (u64 pixel = part; pixel < pixels; pixel += parts)
        own.add(widened(values[pixel * channels]));
      store_partial(partials + ((picture * parts + part) * channels + channel) * 3, own.moments());
    }
}

// A block has one group of one picture at a time. scales: (pictures, channels, 2), a factor and what is added after it.
__device__ inline void scales_last(const float *partials, float *scales, const float *weight, const float *bias,
                                   u64 pictures, u64 parts, u64 channels, u64 group, float epsilon) {
  u64 groups = channels / group;
  for (u64 run = blockIdx.x; run < pictures * groups; run += gridDim.x) {
    u64 picture = run / groups, first = run % groups * group;
    Moments own = {0.0f, 0.0f, 0.0f};
    for (u64 at = threadIdx.x; at < parts * group; at += blockDim.x) {
      u64 row = picture * parts + at / group;
      own = merged(own, partial(partials + (row * channels + first + at % group) * 3));
    }
    Moments whole = merged_over_block(own);
    for (u64 channel = first + threadIdx.x; channel < first + group; channel += blockDim.x) {
      float scale = scale_of(whole, weight[channel], epsilon);
      float *to = scales + (picture * channels + channel) * 2;
      to[0] = scale;
      to[1] = bias[channel] - whole.mean * scale;
    }
  }
}

// x, y: (pictures, length), length being pixels times channels.
template <typename T>
__device__ inline void normalised_last(const T *x, T *y, const float *scales, u64 pictures, u64 length, u64 channels,
                                       int function) {
  for (u64 picture = blockIdx.y; picture < pictures; picture += gridDim.y) {
    const T *from = x + picture * length;
    T *to = y + picture * length;
    const float *of = scales + picture * channels * 2;
    // The channel goes along with the position, so that nothing is divided for each value.
    u64 channel = first_position() % channels, step = positions_apart() % channels;
    for (u64 at = first_position(); at < length; at += positions_apart()) {
      store(to + at, applied(function, widened(from[at]) * of[2 * channel] + of[2 * channel + 1]));
      channel += step;
      if (channel >= channels)
        channel -= channels;
    }
  }
}

// ---- Layer norm ----------------------------------------------------------------------------------------------------

// x, y: (rows, length). A block a row, which is short enough to be read again from the cache: first the mean, then the
// deviations from it.
template <typename T>
__device__ inline void layer_normalised(const T *x, T *y, const float *weight, const float *bias, u64 rows, u64 length,
                                        float epsilon) {
  for (u64 row = blockIdx.x; row < rows; row += gridDim.x) {
    const T *from = x + row * length;
    T *to = y + row * length;
    float own = 0.0f;
    for (u64 at = threadIdx.x; at < length; at += blockDim.x)
      own += widened(from[at]);
    float mean = summed_over_block(own) / (float)length;
    own = 0.0f;
    for (u64 at = threadIdx.x; at < length; at += blockDim.x) {
      float apart = widened(from[at]) - mean;
      own += apart * apart;
    }
    float scale = 1.0f / sqrtf(summed_over_block(own) / (float)length + epsilon);
    for (u64 at = threadIdx.x; at < length; at += blockDim.x)
      store(to + at, (widened(from[at]) - mean) * scale * weight[at] + bias[at]);
  }
}

// ---- After a product -----------------------------------------------------------------------------------------------

// x: (rows, 2 length), y: (rows, length): the first half times gelu of the second. `bias`: of both, or null.
template <typename T> __device__ inline void gated(const T *x, T *y, const float *bias, u64 rows, u64 length) {
  for (u64 row = blockIdx.y; row < rows; row += gridDim.y) {
    const T *values = x + row * 2 * length;
    const T *gates = values + length;
    T *to = y + row * length;
    for (u64 at = first_position(); at < length; at += positions_apart()) {
      float value = widened(values[at]);
      float gate = widened(gates[at]);
      if (bias) {
        value += bias[at];
        gate += bias[length + at];
      }
      store(to + at, value * gelu(gate));
    }
  }
}

// x, y, residual: (rows, length). Of a map a row is a plane (one channel of one picture, `maps` not 0), of tokens it is
// a token. `rows_a_picture`: a map's channels, a picture's tokens. bias: (channels), vector: (pictures, channels). What
// is null is left out; the order is that of `Then` in nn/ops.
template <typename T>
__device__ inline void finished(const T *x, T *y, const float *bias, const T *vector, const T *residual, u64 rows,
                                u64 length, u64 rows_a_picture, int maps, int function) {
  u64 channels = maps ? rows_a_picture : length;
  for (u64 row = blockIdx.y; row < rows; row += gridDim.y) {
    u64 picture = row / rows_a_picture;
    u64 first = row * length;
    for (u64 at = first_position(); at < length; at += positions_apart()) {
      u64 channel = maps ? row - picture * rows_a_picture : at;
      float value = widened(x[first + at]);
      if (bias)
        value += bias[channel];
      if (vector)
        value += widened(vector[picture * channels + channel]);
      value = applied(function, value);
      if (residual)
        value += widened(residual[first + at]);
      store(y + first + at, value);
    }
  }
}

// ---- Nearest neighbour ---------------------------------------------------------------------------------------------

// x: (pictures, height, width, channels), y: (pictures, to_height, to_width, channels).
template <typename T>
__device__ inline void enlarged(const T *x, T *y, u64 pictures, u64 height, u64 width, u64 to_height, u64 to_width,
                                u64 channels) {
  for (u64 row = blockIdx.y; row < pictures * to_height * to_width; row += gridDim.y) {
    u64 column = row % to_width, line = row / to_width % to_height, picture = row / to_width / to_height;
    u64 source = (picture * height + line * height / to_height) * width + column * width / to_width;
    for (u64 at = first_position(); at < channels; at += positions_apart())
      y[row * channels + at] = x[source * channels + at];
  }
}

// ---- One of each for each number type ------------------------------------------------------------------------------

#define KERNELS(T, TYPE)                                                                                               \
  extern "C" __global__ void group_norm_sums_##TYPE(const T *x, float *partials, u64 runs, u64 length) {               \
    sums<T>(x, partials, runs, length);                                                                                \
  }                                                                                                                    \
  extern "C" __global__ void group_norm_apply_##TYPE(const T *x, T *y, const float *partials, const float *weight,     \
                                                     const float *bias, u64 planes, u64 length, u64 channels,          \
                                                     u64 group, u64 splits, float epsilon, int function) {             \
    normalised<T>(x, y, partials, weight, bias, planes, length, channels, group, splits, epsilon, function);           \
  }                                                                                                                    \
  extern "C" __global__ void group_norm_last_sums_##TYPE(const T *x, float *partials, u64 pictures, u64 pixels,        \
                                                         u64 channels, int width) {                                    \
    sums_last<T>(x, partials, pictures, pixels, channels, width);                                                      \
  }                                                                                                                    \
  extern "C" __global__ void group_norm_last_apply_##TYPE(const T *x, T *y, const float *scales, u64 pictures,         \
                                                          u64 length, u64 channels, int function) {                    \
    normalised_last<T>(x, y, scales, pictures, length, channels, function);                                            \
  }                                                                                                                    \
  extern "C" __global__ void layer_norm_##TYPE(const T *x, T *y, const float *weight, const float *bias, u64 rows,     \
                                               u64 length, float epsilon) {                                            \
    layer_normalised<T>(x, y, weight, bias, rows, length, epsilon);                                                    \
  }                                                                                                                    \
  extern "C" __global__ void geglu_##TYPE(const T *x, T *y, const float *bias, u64 rows, u64 length) {                 \
    gated<T>(x, y, bias, rows, length);                                                                                \
  }                                                                                                                    \
  extern "C" __global__ void finish_##TYPE(const T *x, T *y, const float *bias, const T *vector, const T *residual,    \
                                           u64 rows, u64 length, u64 rows_a_picture, int maps, int function) {         \
    finished<T>(x, y, bias, vector, residual, rows, length, rows_a_picture, maps, function);                           \
  }                                                                                                                    \
  extern "C" __global__ void enlarge_##TYPE(const T *x, T *y, u64 pictures, u64 height, u64 width, u64 to_height,      \
                                            u64 to_width, u64 channels) {                                              \
    enlarged<T>(x, y, pictures, height, width, to_height, to_width, channels);                                         \
  }

KERNELS(float, f32)
KERNELS(__half, f16)
KERNELS(__nv_bfloat16, bf16)

// Of sums alone, whatever the type of the values.
extern "C" __global__ void group_norm_last_scales(const float *partials, float *scales, const float *weight,
                                                  const float *bias, u64 pictures, u64 parts, u64 channels, u64 group,
                                                  float epsilon) {
  scales_last(partials, scales, weight, bias, pictures, parts, channels, group, epsilon);
}
