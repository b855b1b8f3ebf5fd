#!/usr/bin/env bash
# toolchain.sh DEST: a local CUDA 13.0 toolchain from PyPI wheels, to build candle with CUDA
# on a machine that has no GPU, no NVIDIA driver and no CUDA.
#
#   toolchain.sh "$PWD/.cuda" && . .cuda/env.sh && cargo build --release --features cuda
#
# WHAT it makes in DEST (about 110 MB downloaded, 0.3 GB on disk, seconds; a finished DEST is kept):
#   bin include lib nvvm      nvcc 13.0.88, ptxas, cicc, cudafe++, headers, CCCL, libcudart (static)
#   bin/nvcc-portable         nvcc for a binary that others get: embeds PTX beside the machine code, so
#                             candle's static (GGUF) kernels also start on newer GPUs, and marks PTX as
#                             ISA 8.0, so drivers from 525 on take it. Use with CUDA_COMPUTE_CAP=80.
#   bin/nvcc-flash-lite       nvcc for candle-flash-attn: compiles only the kernels of FLASH_KEEP (default
#                             "hdim64_fp16 hdim64_bf16"), without alibi, softcap, window and dropout, and
#                             makes the other 50 files stubs that abort. The full set takes CPU hours.
#   bin/nvcc-none             makes empty outputs: `cargo check` or clippy with --features cuda type-checks
#                             the CUDA code without the 9 CPU minutes of kernels (it cannot link)
#                             ! One CARGO_TARGET_DIR for each nvcc variant: cudaforge's object cache does
#                             not look at NVCC and would quietly reuse the other variant's outputs.
#   link/lazy/lib64/*.a       what the program links by default: small trampolines that dlopen
#                             libcuda, cuBLAS, cuRAND, NVRTC and cuDNN at the first call. The program
#                             then has no CUDA library in its dynamic section: ONE binary starts with
#                             and without CUDA, and Device::new_cuda gives an Err where there is none.
#   link/needed/lib64/*.so    CUDA_LINK=needed: plain link-time stubs instead (the usual DT_NEEDED
#                             binary, which does not start without a driver)
#   cudaforge/                CUTLASS 3.5.0 headers laid out as the git checkout that the build
#                             script of candle-flash-attn would otherwise clone from the network
#   env.sh                    the environment for cargo; source it
#
# WHY   - Debian main has no nvcc; the 13.x wheels have a whole one (the *-cu12 wheels have not).
#       - 13.0 and not newer: PTX from a newer nvcc is refused by an older driver
#         (CUDA_ERROR_UNSUPPORTED_PTX_VERSION) and candle ships most kernels as PTX. 13.0 = driver 580.
#       - cuBLAS, cuDNN, NVRTC and cuRAND (0.9 GB of wheels) are not needed to build: the linker wants
#         names only, and cudarc's source lists them. The machine with the GPU has the real ones.
#       - candle-core 0.11 asks cudarc for "dynamic-linking" and a cargo feature cannot be switched off
#         from outside (candle issue 3900), hence trampolines instead of a patched dependency.
#
# NEEDS python3 with pip, cargo, gcc and g++ (6 to 15), x86-64 Linux.
set -euo pipefail

dest=${1:?usage: toolchain.sh DEST}
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "toolchain.sh: x86-64 Linux only" >&2; exit 2; }
# The versions of cuda-toolkit==13.0.2 (the PyPI meta-package that lists each release's parts).
pins=(nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88
      nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85 nvidia-cutlass==3.5.0.0)
cutlass_commit=7d49e6c7e2f8896c47f586706e67e1fb215529dc   # CUTLASS_COMMIT in candle-flash-attn 0.11's build.rs

stamp=$(cksum <"$0" | cut -d' ' -f1)
mkdir -p "$dest"; dest=$(cd "$dest" && pwd)
[ "$(cat "$dest/.done" 2>/dev/null)" != "$stamp" ] || { echo "cuda toolchain ready: $dest"; exit 0; }
rm -f "$dest/.done"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/cuda-toolchain.XXXXXX"); trap 'rm -rf "$tmp"' EXIT

# 1. Wheels.
for d in bin include lib lib64 nvvm link cudaforge; do rm -rf "${dest:?}/$d"; done
python3 -m pip download -q --no-deps --only-binary=:all: -d "$tmp/whl" "${pins[@]}"
python3 - "$tmp/whl" "$dest" "$cutlass_commit" <<'PY'
import glob, os, sys, zipfile
src, dest, commit = sys.argv[1:]
cut = f"cudaforge/git/checkouts/cutlass-{commit[:16]}"
for wheel in sorted(glob.glob(src + "/*.whl")):
    with zipfile.ZipFile(wheel) as z:
        for n in z.namelist():
            if n.startswith("nvidia/cu13/"):
                rel = n[len("nvidia/cu13/"):]
                if rel.startswith((".metadata", "lib/cmake", "lib/libnvvm", "lib/libcudart.so")):
                    continue
            elif n.startswith(("cutlass_library/source/include/", "cutlass_library/source/tools/util/include/")):
                rel = cut + n[len("cutlass_library/source"):]
            else:
                continue
            if n.endswith("/"):
                continue
            out = os.path.join(dest, rel)
            os.makedirs(os.path.dirname(out), exist_ok=True)
            with open(out, "wb") as f:
                f.write(z.read(n))
            if rel.startswith(("bin/", "nvvm/bin/")) and "." not in os.path.basename(rel):
                os.chmod(out, 0o755)
# cudaforge takes a folder as the wanted checkout when `git rev-parse HEAD` there gives the commit.
for d in ("objects", "refs"):
    os.makedirs(os.path.join(dest, cut, ".git", d))
with open(os.path.join(dest, cut, ".git/HEAD"), "w") as f:
    f.write(commit + "\n")
PY
ln -s lib "$dest/lib64"
ln -s libcudart_static.a "$dest/lib/libcudart.a"     # no libcudart.so here: `-lcudart` links statically
cat >"$dest/bin/nvcc-portable" <<'SH'
#!/bin/sh
# nvcc as cudaforge calls it, for a binary that runs on GPUs and drivers other than this toolchain's.
nvcc=$(dirname "$0")/nvcc; ptx=; dir=.; prev=; src=
for a do
  case $prev in --output-directory) dir=$a ;; esac
  case $a in --ptx) ptx=1 ;; *.cu) src=$a ;; esac
  prev=$a
done
if [ "$ptx" ]; then       # PTX: the oldest ISA that the kernels assemble with, so that older drivers take it
  "$nvcc" "$@" && sed -i 's/^\.version 9\.0$/.version 8.0/' "$dir/$(basename "$src" .cu).ptx"
  exit
fi
for a do                  # machine code: PTX beside it, so that the driver can compile it for newer GPUs
  shift
  case $a in -gencode=arch=compute_*,code=sm_*) v=${a##*code=sm_}; a="-gencode=arch=compute_$v,code=[sm_$v,compute_$v]" ;; esac
  set -- "$@" "$a"
done
exec "$nvcc" "$@"
SH
cat >"$dest/bin/nvcc-flash-lite" <<'SH'
#!/bin/sh
# nvcc as cudaforge calls it for candle-flash-attn: full code for the kernels in FLASH_KEEP, stubs for the rest.
nvcc=$(dirname "$0")/nvcc; src=; out=; prev=
for a do
  case $prev in -o) out=$a ;; esac
  case $a in *flash_fwd_*.cu) src=$a ;; esac
  prev=$a
done
[ "$src" ] || exec "$nvcc" "$@"
for k in ${FLASH_KEEP:-hdim64_fp16 hdim64_bf16}; do
  case $src in */flash_fwd_"$k"_sm80.cu)
    exec "$nvcc" "$@" -DFLASHATTENTION_DISABLE_ALIBI -DFLASHATTENTION_DISABLE_SOFTCAP -DFLASHATTENTION_DISABLE_LOCAL -DFLASHATTENTION_DISABLE_DROPOUT ;;
  esac
done
{ echo '#include <cstdio>'; echo '#include <cstdlib>'; echo '#include <cuda_runtime_api.h>'
  echo 'namespace cutlass { struct half_t; struct bfloat16_t; }'
  sed -e 's/#include "flash_fwd_launch_template.h"/#include "flash.h"/' \
      -e 's/^ *run_mha_fwd.*(params, stream);/  fprintf(stderr, "flash-attn kernel not built: %s\\n", __PRETTY_FUNCTION__); abort();/' "$src"
} >"$out.stub.cpp"
exec g++ -std=c++17 -O1 -fPIC -w -I"$(dirname "$src")" -I"$(dirname "$0")/../include" -c -o "$out" "$out.stub.cpp"
SH
cat >"$dest/bin/nvcc-none" <<'SH'
#!/bin/sh
# Stands in for nvcc where nothing is linked or run (cargo check, clippy): every output is an empty file.
dir=.; prev=; src=; out=; ptx=
for a do
  case $prev in -o) out=$a ;; --output-directory) dir=$a ;; esac
  case $a in --ptx) ptx=1 ;; *.cu) src=$a ;; esac
  prev=$a
done
if [ "$ptx" ]; then : >"$dir/$(basename "$src" .cu).ptx"; elif [ "$out" ]; then : >"$out"; fi
SH
chmod 755 "$dest"/bin/nvcc-*

# 2. Link libraries, from the names that cudarc (candle's CUDA binding) can ask for.
mkdir -p "$tmp/probe/src" "$dest/link/lazy/lib64" "$dest/link/needed/lib64"; : >"$tmp/probe/src/lib.rs"
printf '%s\n' '[package]' 'name = "probe"' 'version = "0.0.0"' 'edition = "2021"' '[workspace]' '[dependencies]' \
  'cudarc = { version = "0.19", default-features = false, features = ["cuda-13000", "driver", "dynamic-loading"] }' >"$tmp/probe/Cargo.toml"
cudarc=$(cd "$tmp/probe" && cargo metadata -q --format-version 1 | python3 -c '
import json, os, sys
print(*(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == "cudarc"))')
python3 - "$cudarc/src" "$tmp" <<'PY'
import re, sys
src, out = sys.argv[1:]
LIBS = {  # lib: (cudarc module, run-time names, status returned when the library or function is missing)
    "cuda": ("driver", ["libcuda.so.1"], 100),  # CUDA_ERROR_NO_DEVICE; then each library's "not initialized"
    "nvrtc": ("nvrtc", ["libnvrtc.so.13", "libnvrtc.so.12"], 11),
    "curand": ("curand", ["libcurand.so.10"], 101),
    "cublas": ("cublas", ["libcublas.so.13", "libcublas.so.12"], 1),
    "cublasLt": ("cublaslt", ["libcublasLt.so.13", "libcublasLt.so.12"], 1),
    "cudnn": ("cudnn", ["libcudnn.so.9"], 1001),
}
LAZY_C = r'''
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static const char *const names[] = { @NAMES@ };
static const char *const sonames[] = { @SONAMES@, 0 };
__attribute__((visibility("hidden"), used)) void *lazy_@LIB@_tab[@COUNT@];
static long missing(void) { return @MISSING@; }
static const char *missing_text(void) { return "@SONAME@, or a function of it, was not found"; }
static int missing_cu_text(int e, const char **s) { (void)e; *s = missing_text(); return 0; }
static void *in_dir(const char *dir, const char *sub, const char *so) {
  char p[PATH_MAX];
  return snprintf(p, sizeof p, "%s%s/%s", dir, sub, so) < (int)sizeof p ? dlopen(p, RTLD_NOW) : 0;
}
static void *open_lib(void) {
  static const char *const env[] = { "CUDA_HOME", "CUDA_PATH", 0 };
  static const char *const dirs[] = { "/usr/local/cuda/lib64", "/opt/cuda/lib64", "/usr/lib/wsl/lib", 0 };
  for (const char *const *s = sonames; *s; s++) {
    char exe[PATH_MAX]; ssize_t n; void *h = dlopen(*s, RTLD_NOW);      /* the loader's own search */
    if (!h && (n = readlink("/proc/self/exe", exe, sizeof exe - 1)) > 0) {
      exe[n] = 0; *strrchr(exe, '/') = 0; h = in_dir(exe, "", *s);      /* beside the program */
    }
    for (const char *const *e = env; !h && *e; e++) if (getenv(*e)) h = in_dir(getenv(*e), "/lib64", *s);
    for (const char *const *d = dirs; !h && *d; d++) h = in_dir(*d, "", *s);
    if (h) return h;
  }
  return 0;
}
__attribute__((visibility("hidden"), used)) void *lazy_@LIB@_resolve(long i) {
  static void *handle; static int tried;                   /* a race only repeats the dlopen */
  if (!__atomic_load_n(&tried, __ATOMIC_ACQUIRE)) {
    handle = open_lib(); __atomic_store_n(&tried, 1, __ATOMIC_RELEASE);
  }
  void *f = handle ? dlsym(handle, names[i]) : 0;
  if (!f) f = !strncmp(names[i], "cuGetError", 10) ? (void *)missing_cu_text
            : strstr(names[i], "String") || strstr(names[i], "StatusName") ? (void *)missing_text : (void *)missing;
  __atomic_store_n(&lazy_@LIB@_tab[i], f, __ATOMIC_RELEASE);
  return f;
}
__asm__(
".text\n.macro LAZY name idx\n.globl \\name\n.type \\name,@function\n.p2align 4\n\\name:\n"
" endbr64\n movq lazy_@LIB@_tab+8*\\idx(%rip),%r11\n testq %r11,%r11\n je 1f\n jmp *%r11\n"
"1: pushq $\\idx\n jmp lazy_@LIB@_slow\n.size \\name,.-\\name\n.endm\n"
"lazy_@LIB@_slow:\n"                                       /* keep every argument register */
" pushq %rdi\n pushq %rsi\n pushq %rdx\n pushq %rcx\n pushq %r8\n pushq %r9\n pushq %rax\n subq $136,%rsp\n"
" movups %xmm0,(%rsp)\n movups %xmm1,16(%rsp)\n movups %xmm2,32(%rsp)\n movups %xmm3,48(%rsp)\n"
" movups %xmm4,64(%rsp)\n movups %xmm5,80(%rsp)\n movups %xmm6,96(%rsp)\n movups %xmm7,112(%rsp)\n"
" movq 192(%rsp),%rdi\n call lazy_@LIB@_resolve\n movq %rax,%r11\n"
" movups (%rsp),%xmm0\n movups 16(%rsp),%xmm1\n movups 32(%rsp),%xmm2\n movups 48(%rsp),%xmm3\n"
" movups 64(%rsp),%xmm4\n movups 80(%rsp),%xmm5\n movups 96(%rsp),%xmm6\n movups 112(%rsp),%xmm7\n"
" addq $136,%rsp\n popq %rax\n popq %r9\n popq %r8\n popq %rcx\n popq %rdx\n popq %rsi\n popq %rdi\n"
" addq $8,%rsp\n jmp *%r11\n"
@STUBS@
".previous\n");
'''
for lib, (module, sonames, missing) in LIBS.items():
    text = open(f"{src}/{module}/sys/mod.rs").read()
    names = sorted(set(re.findall(r'load::<_F>\("(\w+)"\)', text)))
    assert len(names) > 5, f"no symbol names found in cudarc's {module}"
    c = LAZY_C.replace("@NAMES@", ", ".join(f'"{n}"' for n in names)).replace("@COUNT@", str(len(names)))
    c = c.replace("@SONAMES@", ", ".join(f'"{s}"' for s in sonames)).replace("@SONAME@", sonames[0])
    c = c.replace("@STUBS@", "\n".join(f'"LAZY {n} {i}\\n"' for i, n in enumerate(names)))
    open(f"{out}/lazy-{lib}.c", "w").write(c.replace("@LIB@", lib).replace("@MISSING@", str(missing)))
    open(f"{out}/needed-{lib}.c", "w").write("".join(f"int {n}(void){{return {missing};}}\n" for n in names))
    open(f"{out}/libs", "a").write(f"{lib} {sonames[0]}\n")
PY
while read -r lib soname; do
  gcc -O2 -fPIC -c -o "$tmp/$lib.o" "$tmp/lazy-$lib.c"
  ar rcs "$dest/link/lazy/lib64/lib$lib.a" "$tmp/$lib.o"
  gcc -shared -fPIC -w -Wl,-soname,"$soname" -o "$dest/link/needed/lib64/lib$lib.so" "$tmp/needed-$lib.c"
done <"$tmp/libs"

# 3. The environment for cargo.
cat >"$dest/env.sh" <<'ENV'
# Source me (bash): environment to build candle with CUDA on a machine without a GPU.
CUDA_HOME=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd); export CUDA_HOME
export CUDA_TOOLKIT_ROOT_DIR=$CUDA_HOME/link/${CUDA_LINK:-lazy}   # cudarc: where -lcuda, -lcublas, ... are found
export CUDARC_CUDA_VERSION=13000                                  # cudarc: else it runs nvcc --version
export NVCC=${NVCC:-$CUDA_HOME/bin/nvcc}                          # cudaforge; or one of bin/nvcc-*
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90}                   # cudaforge: else it runs nvidia-smi
export CUDAFORGE_THREADS=${CUDAFORGE_THREADS:-$(nproc)} CUDAFORGE_HOME=$CUDA_HOME/cudaforge
ENV
echo "$stamp" >"$dest/.done"
"$dest/bin/nvcc" --version | grep release
echo "cuda toolchain ready: $dest (now: . $dest/env.sh)"
