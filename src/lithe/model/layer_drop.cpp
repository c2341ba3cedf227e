#include "lithe/model/layer_drop.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"

namespace lithe {

std::vector<LayerChance> layer_chances(const LayerDropConfig& config, int64_t layers, int64_t updates) {
    const bool code = config.method == LayerDropMethod::progressive && config.form == ProgressiveForm::code;
    double last = config.keep;
    if (config.method == LayerDropMethod::progressive) {
        const double t = double(code ? std::max<int64_t>(0, updates - 1) : updates);
        last = (1 - config.keep) * std::exp(-config.gamma * t) + config.keep;
    }
    std::vector<LayerChance> chances(static_cast<size_t>(layers));
    for (int64_t i = 1; i <= layers; ++i) {
        LayerChance& chance = chances[size_t(i - 1)];
        auto fall = [&](int64_t place) { return 1 - double(place) / double(layers) * (1 - last); };
        switch (config.method) {
            case LayerDropMethod::none: break;
            case LayerDropMethod::layerdrop: chance.keep = config.keep; break;
            case LayerDropMethod::stochastic_depth: chance.keep = fall(i); break;
            case LayerDropMethod::progressive: chance = {fall(code ? i - 1 : i), fall(i)}; break;
        }
    }
    return chances;
}

LayerDraws draws_of(const std::vector<LayerChance>& chances, const std::vector<double>& uniforms) {
    LayerDraws draws;
    for (size_t i = 0; i < chances.size(); ++i)
        draws.layers.push_back({uniforms.at(i) < chances[i].keep, 1 / chances[i].divisor});
    return draws;
}

LayerDraws draw_layers(const LayerDropConfig& config, int64_t layers, int64_t updates, uint64_t key) {
    std::vector<double> uniforms;
    for (int64_t i = 0; i < layers; ++i) uniforms.push_back(random_unit(combine_key(key, "layer_drop"), uint64_t(i)));
    return draws_of(layer_chances(config, layers, updates), uniforms);
}

std::optional<LayerDraws> inference_layers(const LayerDropConfig& config, int64_t layers) {
    if (config.method != LayerDropMethod::stochastic_depth) return std::nullopt;
    LayerDraws draws;
    for (const LayerChance& chance : layer_chances(config, layers, 0)) draws.layers.push_back({true, chance.keep});
    return draws;
}

void add_layer_draws(const LayerDropConfig& config, int64_t layers, Pass& pass) {
    if (config.method == LayerDropMethod::none) return;
    if (!pass.training) {
        if (auto draws = inference_layers(config, layers)) pass.entries.put(std::move(*draws));
        return;
    }
    const bool once = config.draw == LayerDrawUnit::update;
    const uint64_t key = once ? pass.keys.update : combine_key(pass.keys.update, pass.keys.micro_batch);
    pass.entries.put(draw_layers(config, layers, pass.keys.updates, key));
}

std::vector<size_t> parse_layers(const std::string& text, size_t count, const std::string& where) {
    std::vector<size_t> layers;
    auto wrong = [&] {
        fail({.kind = ErrorKind::usage,
              .what = "not a list of layers",
              .where = where.empty() ? option("layers") : where,
              .expected = "rising numbers from 1 to " + std::to_string(count) + ", as 2,4,6, or every:2",
              .got = printable(text)});
    };
    if (text.rfind("every:", 0) == 0) {
        const auto step = parse_count(text.substr(6));
        if (!step || *step < 1 || size_t(*step) > count) wrong();
        for (size_t i = size_t(*step); i <= count; i += size_t(*step)) layers.push_back(i - 1);
        return layers;
    }
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) {
        const auto number = parse_count(part);
        if (!number || *number < 1 || size_t(*number) > count ||
            (!layers.empty() && size_t(*number) <= layers.back() + 1))
            wrong();
        layers.push_back(size_t(*number) - 1);
    }
    if (layers.empty()) wrong();
    return layers;
}

LayerDraw DropPlace::draw(const Pass& pass) const {
    const auto draws = pass.entries.find<LayerDraws>();
    return draws ? draws->layers.at(index) : LayerDraw();
}

UnitOutput DroppableLayer::forward(const Flow& flow, const State& state, const Pass& pass) const {
    const LayerDraw draw = place_->draw(pass);
    if (!draw.kept) return {flow, layer_->skip(flow.x_TBD, state, pass), {}};
    if (draw.scale == 1) return layer_->forward(flow, state, pass);
    return layer_->forward(flow, state, pass.with(BranchScale{draw.scale}));
}

void DroppableLayer::trace_bag(BagTrace& trace) const {
    const size_t before = trace.written.size();
    layer_->trace_bag(trace);
    trace.may_be_left_out(before);
}

State DroppableLayer::skip(const Tensor& x_TBD, const State& state, const Pass& pass) const {
    return layer_->skip(x_TBD, state, pass);
}

StepOutput DroppableLayer::add_step(StepProgram& program, const float* x, int64_t memory) const {
    if (place_->step_scale != 1) return {};  // scaled branches have no single steps
    return layer_->add_step(program, x, memory);
}

}  // namespace lithe
