#include "lithe/blocks/cascade.h"

#include <cmath>

#include "lithe/blocks/layer_place.h"

namespace lithe {

CascadeValues CascadeValues::defaults(const ModelConfig& model) {
    CascadeValues values;
    values.heads = model.heads;
    values.attention_dropout = model.attention_dropout;
    return values;
}

void CascadeValues::visit(FieldVisitor& v) {
    v.field({.name = "heads", .help = "attention heads", .minimum = 1, .maximum = 4096}, heads);
    v.field({.name = "bias", .help = "biases in the products"}, bias);
    v.field({.name = "attention_dropout", .help = "dropout of attention weights", .minimum = 0, .maximum = 0.99},
            attention_dropout);
    v.field({.name = "window",
             .help = "keys that a query of the first layer sees, itself among them",
             .minimum = 1,
             .maximum = 1 << 30},
            window);
    v.field({.name = "growth", .help = "of the window, from layer to layer", .minimum = 1, .maximum = 1e6}, growth);
    v.field({.name = "init", .help = "of the matrices: Xavier's uniform, or normal with deviation 0.02"}, init);
}

void CascadeValues::check(const ModelConfig& model, const std::string& where, Problems& problems) const {
    in_layer(model, 0).check(model, where, problems);
}

AttentionValues CascadeValues::in_layer(const ModelConfig& model, int64_t layer) const {
    constexpr double kMost = 1 << 30;
    AttentionValues values = AttentionValues::defaults(model);
    values.heads = heads;
    values.bias = bias;
    values.attention_dropout = attention_dropout;
    values.window = std::llround(std::min(kMost, double(window) * std::pow(growth, double(layer))));
    values.init = init;
    return values;
}

CascadeBlock::CascadeBlock(const CascadeValues& values, const BlockSite& site)
    : AttentionBlock(values.in_layer(site.model, LayerPlace(site, "cascade").layer), site) {}

}  // namespace lithe
