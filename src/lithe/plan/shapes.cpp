#include "lithe/plan/shapes.h"

#include "lithe/plan/recipe.h"
#include "lithe/spec/config_io.h"

namespace lithe {
namespace {

// Layers that go with a width (docs/lab/planner.md).
struct Rung {
    int64_t width, layers;
};
const Rung kRungs[] = {{128, 2}, {192, 2}, {256, 3}, {384, 4}, {512, 5}, {640, 6}, {768, 7}, {1024, 8}};

}  // namespace

std::string PlanShape::layout() const { return std::string(size_t(layers - 1), 'r') + "u"; }

std::string PlanShape::name() const { return std::to_string(layers) + " x " + std::to_string(width); }

std::vector<PlanShape> plan_shapes() {
    std::vector<PlanShape> shapes;
    for (const Rung& rung : kRungs) shapes.push_back({rung.width, rung.layers, kMostNgramRows});
    return shapes;
}

const std::vector<int64_t>& plan_rows() {
    static const std::vector<int64_t> rows = {kMostNgramRows, 131072, 32768, 8192};
    return rows;
}

std::vector<std::string> shape_settings(const PlanShape& shape) {
    const std::string projection = std::to_string(shape.projection());
    return {"model.width=" + std::to_string(shape.width),
            "model.layout=" + shape.layout(),
            "model.ngrams.rows=" + std::to_string(shape.ngram_rows),
            "blocks.r.projection=" + projection,
            "blocks.u.projection=" + projection,
            "train.batch=" + std::to_string(shape.batch)};
}

Config planned_config(const std::vector<std::string>& settings) {
    return parse_config(kRecipe, "bytes-srupp.toml", settings);
}

}  // namespace lithe
