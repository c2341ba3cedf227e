#!/usr/bin/env python3
"""Random weights of GPT-2 and Llama as Hugging Face's Transformers saves them, imported and evaluated by Lithe: the same
bits per byte as their own programs give?

    pip install torch==2.11.0 transformers==5.24.0 safetensors
    bench/peers/check_import_decoders.py [--lithe build/release/lithe]

Both read the same text in segments, each from nothing, in fp32.
"""
import math

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from imported import check, randomize

WIDTH, HEADS, INNER, LAYERS, SEGMENT = 32, 4, 56, 3, 24
COMMON = f"""[model]
width = {WIDTH}
layout = "(sf)x{LAYERS}"
heads = {HEADS}
final_norm = true
head_bias = false
%s
[blocks.f]
inner = {INNER}
%s
[blocks.s]
%s
[train]
length = {SEGMENT}
batch = 1
precision = "fp32"
[evaluation]
lead = 0
"""
GPT2 = COMMON % (f'positions = "learned"\nmax_positions = {SEGMENT}\ntie_embeddings = true', 'activation = "gelu_tanh"',
                 "bias = true")
LLAMA = COMMON % ('positions = "rotary"\nnorm_form = "rms"\nnorm_epsilon = 1e-5', 'activation = "swiglu"\nbias = false', "")
# name, settings of the package, settings of Lithe
LLAMAS = [
    ("Llama", {}, []),
    ("Llama, tied", {"tie_word_embeddings": True}, ["model.tie_embeddings=true"]),
    ("Llama, grouped keys", {"num_key_value_heads": 2}, ["blocks.s.key_value_heads=2"]),
    ("Llama, one head of keys", {"num_key_value_heads": 1}, ["blocks.s.key_value_heads=1"]),
    ("Llama, another base", {"rope_theta": 500.0}, ["blocks.s.rotary_base=500"]),
]


def bits(model, ids):
    total = 0.0
    with torch.no_grad():
        for begin in range(0, len(ids) - 1, SEGMENT):
            inputs, targets = ids[begin:begin + SEGMENT], ids[begin + 1:begin + 1 + SEGMENT]
            logits = model(inputs[None, :len(targets)]).logits[0].double()
            total -= torch.log_softmax(logits, 1).gather(1, targets[:, None]).sum().item()
    return total / math.log(2) / (len(ids) - 1)


def lines(ids):
    model = randomize(GPT2LMHeadModel(GPT2Config(
        vocab_size=256, n_positions=SEGMENT, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, n_inner=INNER)).eval())
    yield "GPT-2", model, bits(model, ids), GPT2, [], []
    for name, package, sets in LLAMAS:
        theta = package.pop("rope_theta", 10000.0)
        model = randomize(LlamaForCausalLM(LlamaConfig(**{
            "vocab_size": 256, "hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "rms_norm_eps": 1e-5,
            "rope_parameters": {"rope_type": "default", "rope_theta": theta}, "tie_word_embeddings": False, **package})).eval())
        yield name, model, bits(model, ids), LLAMA, sets, []


if __name__ == "__main__":
    check(lines, __doc__)
