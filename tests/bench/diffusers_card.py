"""Makes one picture on a device with diffusers and prints the seconds of each step, a line each.

    diffusers_card.py FOLDER DEVICE eager|compiled STEPS SIDE

FOLDER: a model of Stable Diffusion 1 or XL in diffusers' layout; DEVICE: cuda, cuda:1 or cpu. bf16, channels last, Euler,
guidance 7.5; compiled: the UNet through torch.compile. Made for torch 2.15.0, diffusers 0.42.1, transformers 5.23.0.
"""

import logging
import sys
import time

import torch
from diffusers import DiffusionPipeline, EulerDiscreteScheduler

logging.disable(logging.WARNING)
folder, device, mode, steps, side = sys.argv[1:6]
pipe = DiffusionPipeline.from_pretrained(folder, dtype=torch.bfloat16).to(device)
pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
pipe.set_progress_bar_config(disable=True)
pipe.unet.to(memory_format=torch.channels_last)
pipe.vae.to(memory_format=torch.channels_last)
if mode == "compiled":
    pipe.unet = torch.compile(pipe.unet)

last = None


def told(_pipe, _step, _timestep, kwargs):
    global last
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    now = time.perf_counter()
    if last is not None:
        print(now - last, flush=True)
    last = now
    return kwargs


pipe("a small red house by the sea", num_inference_steps=int(steps), guidance_scale=7.5, width=int(side),
     height=int(side), generator=torch.Generator("cpu").manual_seed(1), callback_on_step_end=told)
