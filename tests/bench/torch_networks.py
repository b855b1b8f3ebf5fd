"""Times torch on the networks of the diffusers folder argv[1]. For each line on standard input, such as
`unet bf16` or `decode f32`, prints the seconds that one run took: `unet` is a guided step (two pictures, latents
64 x 64, 77 tokens), `decode` one picture of 512 x 512. Weights are channels last in bf16, where torch is fastest so.

Made for torch 2.15.0, diffusers 0.42.1. First line printed: the versions.
"""

import sys
import time

import diffusers
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

torch.set_num_threads(2)
folder = sys.argv[1]
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
networks = {}


def network(kind, precision):
    if (kind, precision) not in networks:
        cls, part = (UNet2DConditionModel, "unet") if kind == "unet" else (AutoencoderKL, "vae")
        loaded = cls.from_pretrained(f"{folder}/{part}", dtype=TYPES[precision]).eval()
        networks[kind, precision] = loaded.to(memory_format=torch.channels_last) if precision == "bf16" else loaded
    return networks[kind, precision]


print(f"torch {torch.__version__}, diffusers {diffusers.__version__}, 2 threads; bf16 channels last", flush=True)
with torch.inference_mode():
    for line in sys.stdin:
        kind, precision = line.split()
        model, dtype = network(kind, precision), TYPES[precision]
        if kind == "unet":
            x, context = torch.randn(2, 4, 64, 64).to(dtype), torch.randn(2, 77, 768).to(dtype)
            work = lambda: model(x, 500, context).sample
        else:
            z = torch.randn(1, 4, 64, 64).to(dtype)
            work = lambda: model.decode(z).sample
        began = time.perf_counter()
        work()
        print(time.perf_counter() - began, flush=True)
