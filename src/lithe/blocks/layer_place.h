// Where a block stands among the layers, for kinds that begin with other numbers there, or have other parameters.
#pragma once

#include <string>

#include "lithe/blocks/block.h"

namespace lithe {

// By its parameters' prefix ("decoder.layers.3.hgrn2") and the layout: what stands at the layout's top is a layer,
// repetitions counted. Outside a stack it is the first layer of one.
struct LayerPlace {
    std::string stack;  // "decoder"
    int64_t layer = 0;
    int64_t layers = 1;
    // Whether an earlier layer has a block of this kind, whatever it is called in the layout.
    bool after_another = false;
    LayerPlace(const BlockSite& site, const char* kind);
    // 0 in the first layer, 1 in the last.
    double depth() const { return layers > 1 ? double(layer) / double(layers - 1) : 0; }
    // What is still to come, this layer included: 1 in the first.
    double left() const { return 1 - double(layer) / double(layers); }
};

}  // namespace lithe
