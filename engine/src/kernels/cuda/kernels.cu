// The passes between the products of a network, each in one kernel: what the tensor library does in up to ten, with
// a read and a write of the whole activation each time. Values are f32, f16 or bf16; weights, biases and sums are f32,
// and a result is rounded once, when it is stored.
//
// How work is cut into blocks is the caller's (geometry.rs): any grid and any power of two of threads up to
// MOST_THREADS gives the same result but for the order of sums. Loops stride over what a grid does not cover, and all
// positions are 64 bits wide, since an activation of 2^31 values is one of a large picture.
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

// x: (runs, length). partials: (runs, splits, 3), splits being the grid's width.
template <typename T> __device__ inline void sums(const T *x, float *partials, u64 runs, u64 length) {
  for (u64 run = blockIdx.y; run < runs; run += gridDim.y) {
    const T *values = x + run * length;
    // Sums of differences from this thread's first value: no division for each value, and no loss to a large mean.
    float shift = 0.0f, sum = 0.0f, squares = 0.0f;
    u64 count = 0;
    for (u64 at = first_position(); at < length; at += positions_apart()) {
      float value = widened(values[at]);
      if (count == 0)
        shift = value;
      float apart = value - shift;
      sum += apart;
      squares += apart * apart;
      count += 1;
    }
    Moments own = {0.0f, 0.0f, 0.0f};
    if (count > 0) {
      float mean = sum / (float)count;
      own = {(float)count, shift + mean, squares - sum * mean};
    }
    Moments whole = merged_over_block(own);
    if (threadIdx.x == 0) {
      float *to = partials + (run * gridDim.x + blockIdx.x) * 3;
      to[0] = whole.count;
      to[1] = whole.mean;
      to[2] = whole.deviations;
    }
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
    for (u64 split = threadIdx.x; split < splits; split += blockDim.x) {
      const float *part = parts + split * 3;
      own = merged(own, {part[0], part[1], part[2]});
    }
    Moments whole = merged_over_block(own);
    // A variance cannot be negative, but its rounding error can.
    float variance = fmaxf(whole.deviations / whole.count, 0.0f);
    u64 channel = plane % channels;
    float scale = weight[channel] / sqrtf(variance + epsilon);
    float offset = bias[channel];
    const T *from = x + plane * length;
    T *to = y + plane * length;
    for (u64 at = first_position(); at < length; at += positions_apart())
      store(to + at, applied(function, (widened(from[at]) - whole.mean) * scale + offset));
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
  }

KERNELS(float, f32)
KERNELS(__half, f16)
KERNELS(__nv_bfloat16, bf16)
