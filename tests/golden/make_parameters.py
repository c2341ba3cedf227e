#!/usr/bin/env python3
"""Parameter counts that tests expect, added up by hand.

SRU++ (tests/model/language_model_test.cpp): Lei 2021, tables 2 and 3 have them in millions: 42 small, 108 base, 98 with attention
in every fifth layer, 191 large, 195 with a ratio of 8.
The supernet of PAR (tests/model/slot_test.cpp): Mandava et al. 2021, section 3: 32 places that hold attention and feed-forward
each, at the base model's sizes; the paper prints no count of it.
"""
from golden import Golden, exit_with


def srupp(width, projection, layers=10, every=1, vocabulary=205):
    """W1, W3, norm, weight_c and bias in each layer; W2 and the scale where it attends; embedding, output and its bias."""
    total = (2 * vocabulary * width + vocabulary)
    for layer in range(1, layers + 1):
        total += projection * width + 3 * width * projection + 2 * projection + 2 * width + 2 * width
        if layer % every == 0:
            total += 2 * projection * projection + 1
    return total


def par_supernet(width=512, inner=2048, places=32, vocabulary=267735, clusters=3):
    attention = 3 * width * width + width * width + width * width + 2 * width  # q k v, distances, output, norm
    feed_forward = width * inner + inner + inner * width + width + 2 * width
    table = vocabulary * width + vocabulary  # tied, with the output's bias
    return table + clusters * (width + 1) + 2 * width + places * (attention + feed_forward)  # two position biases for all


if __name__ == "__main__":
    golden, slots = Golden("model/language_model_test.cpp"), Golden("model/slot_test.cpp")
    for name, sizes in {"small": (1920, 480), "base": (3072, 768), "base, every fifth attends": (3072, 768, 10, 5),
                        "large": (4096, 1024), "ratio of 8": (6016, 752)}.items():
        golden.expect(f"SRU++ {name}", srupp(*sizes), digits=0)
    slots.expect("PAR's supernet", par_supernet(), digits=0)
    exit_with(golden, slots)
