#!/usr/bin/env python3
"""Weights that Hugging Face's Transformer-XL and BERT save, imported and evaluated by Lithe: the same bits per byte as
their own programs give?

    pip install torch==2.11.0 transformers==4.35.2 safetensors
    bench/peers/check_import.py [--lithe build/release/lithe]

Random weights over bytes in several shapes; both read the same text in segments, in fp32. Transformer-XL's memory starts
empty, as in the original PyTorch code (the package's own default is a memory of zeros, which attention sees). BERT is to
predict every token from all of them, none replaced, so that no masks need to agree.
"""
import math

import torch
from transformers import BertConfig, BertForPreTraining, TransfoXLConfig
from transformers.models.transfo_xl.modeling_transfo_xl import TransfoXLLMHeadModel

from imported import check, randomize

WIDTH, HEADS, INNER, LAYERS, MEMORY, SEGMENT = 32, 2, 64, 3, 24, 16
# name, settings of the package, settings of Lithe, flags of lithe eval
SHAPES = [
    ("post-norm, tied u and v", {}, [], []),
    ("pre-norm", {"pre_lnorm": True}, ["model.norm=pre", "model.final_norm=false"], []),
    ("u and v per layer", {"untie_r": True}, ["blocks.s.tie_position_biases=false"], []),
    ("adaptive, divisor 1", {"cutoffs": [90, 200], "div_val": 1, "tie_projs": [False] * 3},
     ["model.adaptive.cutoffs=90/200", "model.adaptive.divisor=1"], []),
    ("adaptive, divisor 2", {"cutoffs": [90, 200], "div_val": 2, "tie_projs": [False, True, True]},
     ["model.adaptive.cutoffs=90/200", "model.adaptive.divisor=2"], []),
    ("distances clamped", {"clamp_len": 9}, [], ["--clamp-length", "9"]),
    ("same length", {"same_length": True}, [], ["--mask", "same_length_original"]),
]
CONFIG = f"""[model]
width = {WIDTH}
layout = "(sf)x{LAYERS}"
heads = {HEADS}
memory = {MEMORY}
norm = "post"
positions = "relative"
tie_embeddings = true
embedding_scale = "sqrt_width"
[blocks.f]
inner = {INNER}
activation = "relu"
[train]
length = {SEGMENT}
batch = 1
precision = "fp32"
"""


BERT_CONFIG = f"""[model]
width = {WIDTH}
layout = "(sf)x{LAYERS}"
heads = {HEADS}
direction = "bidirectional"
norm = "post"
norm_epsilon = 1e-12
positions = "learned"
max_positions = {SEGMENT}
head = "transform"
tie_embeddings = true
[model.bert]
embedding_norm = true
token_types = 2
pooler = true
[blocks.s]
bias = true
[blocks.f]
inner = {INNER}
activation = "gelu"
[objective]
name = "masked"
mask_rate = 1
mask_share = 0
random_share = 0
[train]
length = {SEGMENT}
batch = 1
precision = "fp32"
[evaluation]
lead = 0
"""


def bert_model():
    # 256 bytes and the mask token
    return randomize(BertForPreTraining(BertConfig(
        vocab_size=257, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=INNER,
        max_position_embeddings=SEGMENT, hidden_dropout_prob=0, attention_probs_dropout_prob=0)).eval())


def bert_bits(model, ids):
    total = 0.0
    with torch.no_grad():
        for begin in range(0, len(ids), SEGMENT):
            part = ids[begin:begin + SEGMENT]
            logits = model(part[None]).prediction_logits[0].double()
            total -= torch.log_softmax(logits, 1).gather(1, part[:, None]).sum().item()
    return total / math.log(2) / len(ids)


def package_model(settings):
    defaults = {"cutoffs": [], "div_val": 1, "tie_projs": [False], "untie_r": False, "clamp_len": -1,
                "same_length": False}
    config = TransfoXLConfig(vocab_size=256, d_model=WIDTH, d_embed=WIDTH, n_head=HEADS, d_head=WIDTH // HEADS, d_inner=INNER,
                             n_layer=LAYERS, mem_len=MEMORY, dropout=0, dropatt=0, proj_share_all_but_first=True,
                             **{**defaults, **settings})
    return randomize(TransfoXLLMHeadModel(config).eval())


def package_bits(model, ids):
    mems = [torch.empty(0, 1, WIDTH) for _ in range(LAYERS)]
    total = 0.0
    with torch.no_grad():
        for begin in range(0, len(ids) - 1, SEGMENT):
            inputs, targets = ids[begin:begin + SEGMENT][None], ids[begin + 1:begin + 1 + SEGMENT]
            out = model(inputs[:, :len(targets)], mems=mems)
            mems = out.mems
            total -= out.prediction_scores[0].double().gather(1, targets[:, None]).sum().item()
    return total / math.log(2) / (len(ids) - 1)


def lines(ids):
    for name, package, sets, flags in SHAPES:
        model = package_model(package)
        yield name, model, package_bits(model, ids), CONFIG, sets, flags
    model = bert_model()
    yield "BERT", model, bert_bits(model, ids), BERT_CONFIG, [], []


if __name__ == "__main__":
    check(lines, __doc__)
