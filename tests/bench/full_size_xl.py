"""Writes a Stable Diffusion XL of true size with random weights into the folder argv[1]: diffusers layout in f16
(`diffusers/`, 6.9 GB, the UNet in shards), for measuring time and memory. Tensors are drawn and written a shard at a
time, so that memory stays below 3 GB. With `--count`, prints the operations of a guided step and of a decode at
1024 x 1024 instead, counted on tensors without storage.

Made for torch 2.15.0, diffusers 0.42.1, transformers 5.23.0, open_clip_torch 3.3.0 (whose tokenizer's merges it
uses). Does nothing where the files are there already.
"""

import json
import os
import sys
import zlib

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from tokenizer_files import write_tokenizer
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

SHARD_BYTES = 1 << 30
TEXT = dict(vocab_size=49408, max_position_embeddings=77, bos_token_id=49406, eos_token_id=49407, pad_token_id=1)


def networks():
    """Names and shapes of every part; no storage."""
    with torch.device("meta"):
        return {
            "text_encoder": CLIPTextModel(CLIPTextConfig(
                hidden_size=768, intermediate_size=3072, projection_dim=768, num_hidden_layers=12,
                num_attention_heads=12, hidden_act="quick_gelu", **TEXT)),
            "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(
                hidden_size=1280, intermediate_size=5120, projection_dim=1280, num_hidden_layers=32,
                num_attention_heads=20, hidden_act="gelu", **TEXT)),
            "unet": UNet2DConditionModel(
                sample_size=128, layers_per_block=2, block_out_channels=(320, 640, 1280), attention_head_dim=(5, 10, 20),
                transformer_layers_per_block=(1, 2, 10), cross_attention_dim=2048, use_linear_projection=True,
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
                addition_embed_type="text_time", addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816),
            "vae": AutoencoderKL(
                block_out_channels=(128, 256, 512, 512), layers_per_block=2, sample_size=1024, scaling_factor=0.13025,
                force_upcast=True, down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4),
        }


def drawn(name, shape):
    """Normal weights scaled by fan-in, so that activations stay near 1; from the name alone."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    values = torch.empty(shape)
    if values.ndim >= 2:
        fan = values[0].numel() if "embedding.weight" not in name else 1
        values.normal_(0, (0.6 / fan) ** 0.5 if fan > 1 else 0.02, generator=generator)
    elif name.endswith("weight"):
        values.normal_(1, 0.1, generator=generator)
    else:
        values.normal_(0, 0.05, generator=generator)
    return values.half()


def shards(shapes):
    """Names, as many together as fit a shard."""
    parts, size = [[]], 0
    for name, shape in shapes.items():
        length = 2 * shape.numel()
        if parts[-1] and size + length > SHARD_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(name)
        size += length
    return parts


def write(out, part, network):
    folder = f"{out}/diffusers/{part}"
    os.makedirs(folder, exist_ok=True)
    text = part.startswith("text")
    (network.config.save_pretrained if text else network.save_config)(folder)
    shapes = {name if not text or name.startswith("text_") else f"text_model.{name}": value.shape
              for name, value in network.state_dict().items()}
    stem = "model" if text else "diffusion_pytorch_model"
    parts = shards(shapes)
    where = {}
    for index, names in enumerate(parts):
        file = f"{stem}.safetensors" if len(parts) == 1 else f"{stem}-{index + 1:05}-of-{len(parts):05}.safetensors"
        save_file({name: drawn(f"{part}/{name}", shapes[name]) for name in names}, f"{folder}/{file}", {"format": "pt"})
        where.update(dict.fromkeys(names, file))
    if len(parts) > 1:
        size = sum(2 * shape.numel() for shape in shapes.values())
        with open(f"{folder}/{stem}.safetensors.index.json", "w") as file:
            json.dump({"metadata": {"total_size": size}, "weight_map": where}, file)


def count():
    from torch.utils.flop_counter import FlopCounterMode
    nets = networks()
    with torch.device("meta"), FlopCounterMode(display=False) as step:
        added = {"text_embeds": torch.empty(2, 1280), "time_ids": torch.empty(2, 6)}
        nets["unet"](torch.empty(2, 4, 128, 128), torch.tensor(500), torch.empty(2, 77, 2048), added_cond_kwargs=added)
    with torch.device("meta"), FlopCounterMode(display=False) as decode:
        nets["vae"].decode(torch.empty(1, 4, 128, 128))
    print(f"step {step.get_total_flops():.4e}, decode {decode.get_total_flops():.4e}")


def main(out):
    if os.path.exists(f"{out}/complete"):
        return
    for part, network in networks().items():
        write(out, part, network)
    EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1,
                           timestep_spacing="leading").save_config(f"{out}/diffusers/scheduler")
    write_tokenizer(f"{out}/diffusers/tokenizer", "<|endoftext|>")
    write_tokenizer(f"{out}/diffusers/tokenizer_2", "!")
    with open(f"{out}/diffusers/model_index.json", "w") as file:
        json.dump({"_class_name": "StableDiffusionXLPipeline", "_diffusers_version": "0.42.1",
                   "force_zeros_for_empty_prompt": True, "scheduler": ["diffusers", "EulerDiscreteScheduler"],
                   "text_encoder": ["transformers", "CLIPTextModel"],
                   "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
                   "tokenizer": ["transformers", "CLIPTokenizer"], "tokenizer_2": ["transformers", "CLIPTokenizer"],
                   "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}, file, indent=2)
    open(f"{out}/complete", "w").close()


if __name__ == "__main__":
    if "--count" in sys.argv:
        count()
    else:
        main(sys.argv[1])
