// What kernels.cu needs of CUDA, for the CPU: one system thread for each thread of a block, blocks one after another,
// a barrier for __syncthreads. Written for checking arithmetic and synchronisation, not for speed.

#pragma once

#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <mutex>

#define __global__
#define __device__
// One block runs at a time, so that its shared memory may be everyone's.
#define __shared__ static

struct Place {
  unsigned x = 0, y = 0, z = 0;
};

inline thread_local Place threadIdx, blockIdx, blockDim, gridDim;

class Barrier {
public:
  explicit Barrier(unsigned threads) : threads(threads) {}

  void wait() {
    std::unique_lock<std::mutex> lock(mutex);
    unsigned round = rounds;
    if (++waiting == threads) {
      waiting = 0;
      ++rounds;
      all_here.notify_all();
    } else {
      all_here.wait(lock, [&] { return rounds != round; });
    }
  }

private:
  std::mutex mutex;
  std::condition_variable all_here;
  unsigned threads, waiting = 0, rounds = 0;
};

inline Barrier *of_block = nullptr;

inline void __syncthreads() { of_block->wait(); }

// ---- Numbers of 16 bits, as the cards round them: to nearest, ties to even -----------------------------------------

struct __half {
  uint16_t bits;
};

struct __nv_bfloat16 {
  uint16_t bits;
};

inline uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}

inline float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

inline float __bfloat162float(__nv_bfloat16 value) { return float_of((uint32_t)value.bits << 16); }

inline __nv_bfloat16 __float2bfloat16_rn(float value) {
  if (std::isnan(value))
    return {0x7fff};
  uint32_t bits = bits_of(value);
  return {(uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

inline float __half2float(__half value) {
  int exponent = value.bits >> 10 & 31;
  int fraction = value.bits & 1023;
  float magnitude = exponent == 0    ? std::ldexp((float)fraction, -24)
                    : exponent == 31 ? (fraction ? NAN : INFINITY)
                                     : std::ldexp((float)(fraction + 1024), exponent - 25);
  return value.bits & 0x8000 ? -magnitude : magnitude;
}

inline __half __float2half_rn(float value) {
  uint16_t sign = bits_of(value) >> 16 & 0x8000;
  if (std::isnan(value))
    return {0x7fff};
  float magnitude = std::fabs(value);
  if (magnitude >= 65520.0f) // what rounds to 2^16
    return {(uint16_t)(sign | 0x7c00)};
  if (magnitude < 6.103515625e-5f) // below 2^-14 the steps are even
    return {(uint16_t)(sign | (uint16_t)std::nearbyint(std::ldexp(magnitude, 24)))};
  uint32_t bits = bits_of(magnitude);
  bits += 0xfff + (bits >> 13 & 1);
  return {(uint16_t)(sign | ((bits >> 13) - (112 << 10)))};
}
