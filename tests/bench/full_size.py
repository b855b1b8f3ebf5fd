"""Writes a Stable Diffusion 1.5 of true size with random weights into the folder argv[1]: diffusers layout in f16
(`diffusers/`) and one file with the original names in f16 (`sd15.safetensors`), for measuring time and memory.

Made for torch 2.15.0, diffusers 0.42.1, transformers 5.23.0, open_clip_torch 3.3.0 (whose tokenizer's merges it
uses). Does nothing where the files are there already.
"""

import json
import os
import re
import sys

import torch
from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from tokenizer_files import write_tokenizer
from transformers import CLIPTextConfig, CLIPTextModel

out = sys.argv[1]
if os.path.exists(f"{out}/complete"):
    sys.exit()
os.makedirs(out, exist_ok=True)


def randomised(network, seed):
    """Normal weights scaled by fan-in, so that activations stay near 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in network.named_parameters():
            if p.ndim >= 2:
                fan = p[0].numel() if "embedding" not in name or "time_embedding" in name else 1
                p.normal_(0, (0.6 / fan) ** 0.5 if fan > 1 else 0.02, generator=generator)
            elif name.endswith("weight"):
                p.normal_(1, 0.1, generator=generator)
            else:
                p.normal_(0, 0.05, generator=generator)
    return network.half().eval()


unet = randomised(UNet2DConditionModel(
    sample_size=64, in_channels=4, out_channels=4, layers_per_block=2, block_out_channels=(320, 640, 1280, 1280),
    cross_attention_dim=768, attention_head_dim=8), 1)
vae = randomised(AutoencoderKL(
    in_channels=3, out_channels=3, latent_channels=4, sample_size=512, block_out_channels=(128, 256, 512, 512),
    layers_per_block=2, down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4), 2)
clip = randomised(CLIPTextModel(CLIPTextConfig(
    hidden_size=768, intermediate_size=3072, projection_dim=768, num_hidden_layers=12, num_attention_heads=12,
    vocab_size=49408, max_position_embeddings=77, hidden_act="quick_gelu", bos_token_id=49406, eos_token_id=49407,
    pad_token_id=1)), 3)
scheduler = PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                          num_train_timesteps=1000, skip_prk_steps=True, steps_offset=1, set_alpha_to_one=False)


# ---- The original names, for stable-diffusion.cpp ----
def renamed(key, rules):
    for pattern, to in rules:
        key = re.sub(pattern, to, key)
    return key


RESNET = [(r"\.norm1\.", ".in_layers.0."), (r"\.conv1\.", ".in_layers.2."), (r"\.norm2\.", ".out_layers.0."),
          (r"\.conv2\.", ".out_layers.3."), (r"time_emb_proj", "emb_layers.1"),
          (r"conv_shortcut", "skip_connection")]


def unet_key(key):
    m = re.match(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.*)", key)
    if m:
        side, level, kind, index, rest = m[1], int(m[2]), m[3], int(m[4]), m[5]
        if kind == "downsamplers":
            return f"input_blocks.{3 * level + 3}.0.op.{rest[5:]}"
        if kind == "upsamplers":
            return f"output_blocks.{3 * level + 2}.{1 if level == 0 else 2}.{rest}"
        place = f"input_blocks.{3 * level + index + 1}" if side == "down" else f"output_blocks.{3 * level + index}"
        return renamed(f"{place}.0.{rest}", RESNET) if kind == "resnets" else f"{place}.1.{rest}"
    m = re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", key)
    if m:
        if m[1] == "resnets":
            return renamed(f"middle_block.{2 * int(m[2])}.{m[3]}", RESNET)
        return f"middle_block.1.{m[3]}"
    return renamed(key, [(r"^time_embedding.linear_1", "time_embed.0"), (r"^time_embedding.linear_2", "time_embed.2"),
                         (r"^conv_in", "input_blocks.0.0"), (r"^conv_norm_out", "out.0"), (r"^conv_out", "out.2")])


def vae_key(key):
    key = re.sub(r"up_blocks\.(\d)", lambda m: f"up.{3 - int(m[1])}", key)
    key = renamed(key, [(r"down_blocks\.", "down."), (r"mid_block\.resnets\.0", "mid.block_1"),
                        (r"mid_block\.resnets\.1", "mid.block_2"), (r"resnets\.", "block."),
                        (r"downsamplers\.0", "downsample"), (r"upsamplers\.0", "upsample"),
                        (r"conv_shortcut", "nin_shortcut"), (r"conv_norm_out", "norm_out"),
                        (r"mid_block\.attentions\.0", "mid.attn_1")])
    if "attn_1" in key:
        key = renamed(key, [(r"group_norm", "norm"), (r"to_([qkv])", r"\1"), (r"to_out\.0", "proj_out")])
    return key


def text_key(key):
    return key if key.startswith("text_model.") else f"text_model.{key}"


def save(network, folder, stem, key=lambda key: key):
    os.makedirs(f"{out}/diffusers/{folder}", exist_ok=True)
    state = {key(k): v.contiguous() for k, v in network.state_dict().items()}
    save_file(state, f"{out}/diffusers/{folder}/{stem}.safetensors", metadata={"format": "pt"})


unet.save_config(f"{out}/diffusers/unet")
vae.save_config(f"{out}/diffusers/vae")
scheduler.save_config(f"{out}/diffusers/scheduler")
# As published: without the default spacing, which other schedulers than PNDM would take for a wish.
path = f"{out}/diffusers/scheduler/scheduler_config.json"
config = json.load(open(path))
config.pop("timestep_spacing", None)
json.dump(config, open(path, "w"), indent=2)
clip.config.save_pretrained(f"{out}/diffusers/text_encoder")
save(unet, "unet", "diffusion_pytorch_model")
save(vae, "vae", "diffusion_pytorch_model")
save(clip, "text_encoder", "model", text_key)
write_tokenizer(f"{out}/diffusers/tokenizer", "<|endoftext|>")
with open(f"{out}/diffusers/model_index.json", "w") as file:
    json.dump({"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.42.1",
               "scheduler": ["diffusers", "PNDMScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
               "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
               "vae": ["diffusers", "AutoencoderKL"], "safety_checker": [None, None],
               "feature_extractor": [None, None], "requires_safety_checker": False}, file, indent=2)

single = {f"model.diffusion_model.{unet_key(k)}": v for k, v in unet.state_dict().items()}
for k, v in vae.state_dict().items():
    name = vae_key(k)
    # The original keeps the attention of the autoencoder as 1x1 convolutions.
    single[f"first_stage_model.{name}"] = v[:, :, None, None] if "attn_1" in name and v.ndim == 2 else v
for k, v in clip.state_dict().items():
    single[f"cond_stage_model.transformer.{text_key(k)}"] = v
betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
single["alphas_cumprod"] = torch.cumprod(1 - betas, 0).float()
save_file({k: v.contiguous() for k, v in single.items()}, f"{out}/sd15.safetensors", metadata={"format": "pt"})
open(f"{out}/complete", "w").close()
