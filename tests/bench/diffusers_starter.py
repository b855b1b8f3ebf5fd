"""Makes one picture of the model in argv[1] for each line on standard input and prints the seconds it took.

Made for torch 2.15.0, diffusers 0.42.1, transformers 5.23.0. First line printed: the versions.
"""

import logging
import sys
import time

import diffusers
import torch
import transformers
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

logging.disable(logging.WARNING)
torch.set_num_threads(2)
pipe = StableDiffusionPipeline.from_pretrained(sys.argv[1], dtype=torch.float32)
pipe.scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)
pipe.set_progress_bar_config(disable=True)
print(f"torch {torch.__version__}, diffusers {diffusers.__version__}, transformers {transformers.__version__}, "
      "2 threads, f32", flush=True)
for _ in sys.stdin:
    began = time.perf_counter()
    pipe("a red apple, 3d", num_inference_steps=20, guidance_scale=4.0, width=128, height=128,
         generator=torch.Generator("cpu").manual_seed(1))
    print(time.perf_counter() - began, flush=True)
