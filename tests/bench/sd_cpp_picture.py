"""Makes one picture with stable-diffusion.cpp: the model file argv[1] kept in f16, 512 x 512, argv[3] Euler steps with
guidance 7.5, written to argv[2]. Prints for each step the seconds that it took.

Made for stable-diffusion-cpp-python 0.4.7, which holds the source of stable-diffusion.cpp and builds it.
"""

import sys
import time

from stable_diffusion_cpp import StableDiffusion

model, out, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])


ends = []


def progress(step, _steps, _secs):
    # Printing must wait: the library keeps both outputs shut meanwhile.
    ends.append((step, time.perf_counter()))


network = StableDiffusion(model_path=model, wtype="f16", n_threads=2, vae_decode_only=True, verbose=False)
pictures = network.generate_image(
    prompt="a small red house by the sea", width=512, height=512, cfg_scale=7.5, sample_method="euler",
    sample_steps=steps, seed=1, progress_callback=progress)
pictures[0].save(out)
for (_before, began), (step, ended) in zip(ends, ends[1:]):
    if step > 1:
        print(ended - began)
