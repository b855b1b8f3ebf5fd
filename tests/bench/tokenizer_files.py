"""CLIP's tokenizer as diffusers folders hold it, from the merges that open_clip_torch 3.3.0 brings."""

import gzip
import json
import os

import open_clip


def write_tokenizer(folder, pad):
    """CLIP's vocabulary from its merges: byte alphabet, the same with word ends, merged pieces, two marks."""
    os.makedirs(folder, exist_ok=True)
    merges_file = os.path.join(os.path.dirname(open_clip.__file__), "bpe_simple_vocab_16e6.txt.gz")
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [byte for byte in range(256) if byte not in visible]
    alphabet = [chr(byte) for byte in visible] + [chr(256 + i) for i in range(len(moved))]
    lines = gzip.open(merges_file).read().decode().split("\n")
    merges = [line.split() for line in lines[1 : 49152 - 256 - 2 + 1]]
    pieces = alphabet + [c + "</w>" for c in alphabet] + ["".join(m) for m in merges]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    with open(f"{folder}/vocab.json", "w") as file:
        json.dump({piece: i for i, piece in enumerate(pieces)}, file, ensure_ascii=False)
    with open(f"{folder}/merges.txt", "w") as file:
        file.write("#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in merges))
    with open(f"{folder}/tokenizer_config.json", "w") as file:
        json.dump({"model_max_length": 77, "tokenizer_class": "CLIPTokenizer", "bos_token": "<|startoftext|>",
                   "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": pad,
                   "do_lower_case": True, "errors": "replace", "add_prefix_space": False}, file)
