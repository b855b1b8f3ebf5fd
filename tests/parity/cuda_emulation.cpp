// Runs kernels.cu on the CPU: reads cases from a file, launches each as launch.rs does, writes the results to another.
//
// A case: 16 numbers of 64 bits (see `Header`), then four buffers (x and up to three more), each behind its length in
// bytes; an empty one stands for a null pointer. A result is as long as the header says. Little-endian throughout.

#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "kernels.cu"

struct Header {
  uint64_t operation; // 0 group norm, 1 layer norm, 2 geglu, 3 finish, 4 group norm channels last, 5 enlarge
  uint64_t type;      // 0 f32, 1 f16, 2 bf16
  uint64_t threads;   // of a block
  uint64_t sums[2];   // grid of the first of two kernels
  uint64_t grid[2];
  uint64_t numbers[6]; // the kernel's, in its order
  uint64_t function;
  uint64_t epsilon; // the bits of an f32
  uint64_t bytes;   // of the result
};
static_assert(sizeof(Header) == 16 * 8, "read as it lies");

typedef std::vector<char> Buffer;

// Memory of exactly that size from the heap, so that an address sanitizer sees the first byte too far.
struct Memory {
  explicit Memory(const Buffer &from) : at(from.empty() ? nullptr : malloc(from.size())) {
    if (at)
      memcpy(at, from.data(), from.size());
  }
  ~Memory() { free(at); }
  Memory(const Memory &) = delete;

  void *at;
};

template <typename Kernel> void launch(const uint64_t grid[2], unsigned threads, Kernel kernel) {
  Barrier barrier(threads);
  of_block = &barrier;
  auto thread = [&](unsigned index) {
    threadIdx.x = index;
    blockDim.x = threads;
    gridDim.x = (unsigned)grid[0];
    gridDim.y = (unsigned)grid[1];
    for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++)
      for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++) {
        kernel();
        barrier.wait();
      }
  };
  std::vector<std::thread> all;
  for (unsigned index = 0; index < threads; index++)
    all.emplace_back(thread, index);
  for (std::thread &one : all)
    one.join();
}

// Those of one number type.
template <typename T> struct Kernels {
  void (*sums)(const T *, float *, u64, u64);
  void (*apply)(const T *, T *, const float *, const float *, const float *, u64, u64, u64, u64, u64, float, int);
  void (*sums_last)(const T *, float *, u64, u64, u64, int);
  void (*apply_last)(const T *, T *, const float *, u64, u64, u64, int);
  void (*layer_norm)(const T *, T *, const float *, const float *, u64, u64, float);
  void (*geglu)(const T *, T *, const float *, u64, u64);
  void (*finish)(const T *, T *, const float *, const T *, const T *, u64, u64, u64, int, int);
  void (*enlarge)(const T *, T *, u64, u64, u64, u64, u64, u64);
};

template <typename T> Buffer run(const Header &head, const std::vector<Buffer> &given, Kernels<T> kernels) {
  Memory m0(given[0]), m1(given[1]), m2(given[2]), m3(given[3]);
  // Every byte set is NaN in each type: what a kernel leaves out shows.
  Memory out(Buffer(head.bytes, (char)0xff));
  const T *x = (const T *)m0.at;
  T *y = (T *)out.at;
  const float *f1 = (const float *)m1.at, *f2 = (const float *)m2.at;
  const uint64_t *n = head.numbers;
  unsigned threads = (unsigned)head.threads;
  float epsilon = float_of((uint32_t)head.epsilon);
  int function = (int)head.function;
  switch (head.operation) {
  case 0: { // planes, length, channels, group
    u64 runs = n[0] / n[3], splits = head.sums[0];
    Memory partials(Buffer(runs * splits * 3 * sizeof(float), (char)0xff));
    float *parts = (float *)partials.at;
    launch(head.sums, threads, [&] { kernels.sums(x, parts, runs, n[3] * n[1]); });
    launch(head.grid, threads,
           [&] { kernels.apply(x, y, parts, f1, f2, n[0], n[1], n[2], n[3], splits, epsilon, function); });
    break;
  }
  case 1: // rows, length
    launch(head.grid, threads, [&] { kernels.layer_norm(x, y, f1, f2, n[0], n[1], epsilon); });
    break;
  case 2: // rows, length
    launch(head.grid, threads, [&] { kernels.geglu(x, y, f1, n[0], n[1]); });
    break;
  case 3: // rows, length, rows of a picture, maps
    launch(head.grid, threads, [&] {
      kernels.finish(x, y, f1, (const T *)m2.at, (const T *)m3.at, n[0], n[1], n[2], (int)n[3], function);
    });
    break;
  case 4: { // pictures, pixels, channels, group, width, threads of the first kernel
    u64 parts = head.sums[0] * (n[5] / n[4]);
    Memory partials(Buffer(n[0] * parts * n[2] * 3 * sizeof(float), (char)0xff));
    Memory scales(Buffer(n[0] * n[2] * 2 * sizeof(float), (char)0xff));
    float *from = (float *)partials.at, *to = (float *)scales.at;
    launch(head.sums, (unsigned)n[5], [&] { kernels.sums_last(x, from, n[0], n[1], n[2], (int)n[4]); });
    launch(head.grid, threads, [&] { group_norm_last_scales(from, to, f1, f2, n[0], parts, n[2], n[3], epsilon); });
    launch(head.grid, threads, [&] { kernels.apply_last(x, y, to, n[0], n[1] * n[2], n[2], function); });
    break;
  }
  case 5: // pictures, height, width, height and width of y, channels
    launch(head.grid, threads, [&] { kernels.enlarge(x, y, n[0], n[1], n[2], n[3], n[4], n[5]); });
    break;
  default:
    exit(2);
  }
  return Buffer((char *)out.at, (char *)out.at + head.bytes);
}

#define OF(T, TYPE)                                                                                                    \
  Kernels<T> {                                                                                                     \
    group_norm_sums_##TYPE, group_norm_apply_##TYPE, group_norm_last_sums_##TYPE, group_norm_last_apply_##TYPE,         \
        layer_norm_##TYPE, geglu_##TYPE, finish_##TYPE, enlarge_##TYPE                                                 \
  }

static void read_all(FILE *from, void *to, size_t bytes) {
  if (bytes && fread(to, bytes, 1, from) != 1) {
    fprintf(stderr, "a case ends early\n");
    exit(1);
  }
}

int main(int count, char **arguments) {
  FILE *cases = count == 3 ? fopen(arguments[1], "rb") : nullptr;
  FILE *results = cases ? fopen(arguments[2], "wb") : nullptr;
  if (!results)
    return 1;
  Header head;
  while (fread(&head, sizeof head, 1, cases) == 1) {
    std::vector<Buffer> given(4);
    for (Buffer &buffer : given) {
      uint64_t bytes;
      read_all(cases, &bytes, sizeof bytes);
      buffer.resize(bytes);
      read_all(cases, buffer.data(), bytes);
    }
    Buffer out = head.type == 0   ? run(head, given, OF(float, f32))
                 : head.type == 1 ? run(head, given, OF(__half, f16))
                                  : run(head, given, OF(__nv_bfloat16, bf16));
    fwrite(out.data(), 1, out.size(), results);
  }
  return fclose(results) == 0 ? 0 : 1;
}
