// The family of models that a plan chooses from: SRU++ over bytes with hashed n-grams, one attention layer on top of
// recurrent ones (configs/bytes-srupp.toml), from small to large.
#pragma once

#include <string>
#include <vector>

#include "lithe/spec/config.h"

namespace lithe {

inline constexpr int64_t kMostNgramRows = 524288;

struct PlanShape {
    int64_t width = 0, layers = 0;
    int64_t ngram_rows = 0;  // per n-gram length
    int64_t batch = 16;

    int64_t projection() const { return width / 4; }
    std::string layout() const;  // "rrru"
    std::string name() const;    // "4 x 384"
    // The numbers in matrices that every token is multiplied by: what quality is fitted against.
    double matrix_parameters() const { return double(layers) * double(width) * double(width); }
};

// The widths and their layers, from small to large, and the sizes of n-gram tables, from large to small.
std::vector<PlanShape> plan_shapes();
const std::vector<int64_t>& plan_rows();

// The settings that make the recipe this shape.
std::vector<std::string> shape_settings(const PlanShape& shape);

// configs/bytes-srupp.toml with these settings, as of --set.
Config planned_config(const std::vector<std::string>& settings);

}  // namespace lithe
