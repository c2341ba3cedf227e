#include "lithe/train/search_steps.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

namespace lithe {

SearchSteps::SearchSteps(const Config& config, const Objective& objective, const Models& models,
                         std::unique_ptr<Prefetcher> held_out)
    : config_(config.search),
      objective_(objective),
      models_(models),
      model_(models.main()),
      architecture_(config.search, model_.stack().slots),
      held_out_(std::move(held_out)) {
    progress_.likeliest = architecture_.likeliest();
}

bool SearchSteps::turn_of_choices(int64_t step, double progress) {
    if (progress < config_.warmup) return false;
    if (progress_.begin < 0) {
        progress_.begin = step;
        progress_.changed_at = progress;
    }
    const int64_t place = (step - progress_.begin) % config_.period;
    const auto weights = int64_t(std::llround(double(config_.period) * (1 - config_.share)));
    return place >= std::clamp<int64_t>(weights, 1, config_.period - 1);
}

double SearchSteps::temperature(double progress) const {
    const double share = std::clamp((progress - config_.warmup) / std::max(1e-9, 1 - config_.warmup), 0.0, 1.0);
    return config_.temperature * std::pow(config_.final_temperature / config_.temperature, share);
}

void SearchSteps::draw_weights(uint64_t key, double progress) {
    model_.standing_entries().put(architecture_.weights_draw(combine_key(key, "choices"), temperature(progress)));
}

double SearchSteps::update_choices(const Batch& batch, uint64_t key, double progress, State& carried) {
    const SlotChoices draw = architecture_.choices_draw(combine_key(key, "choices"), temperature(progress));
    model_.standing_entries().put(draw);
    const DeviceBatch on_device = DeviceBatch::of(batch, model_.device());
    const LossOutput out = objective_.loss(models_, on_device, carried, true, {.update = key, .rows = key});
    const auto weights = objective_.weights(batch);
    Tensor mean = at::zeros({}, at::TensorOptions(at::kDouble).device(model_.device()));
    for (const LossTerm& term : out.terms) {
        const auto counted = weights.find(term.name);
        const double weight = counted != weights.end() ? counted->second : double(on_device.positions());
        mean = mean + term.sum.to(at::kDouble) * (term.coefficient / std::max(1.0, weight));
    }
    torch::autograd::backward({architecture_.loss(mean, draw)}, {});
    model_.parameters().collect_gradients(true);  // the weights' gradients are not used
    architecture_.update();
    carried = out.state.detach();
    run_likeliest();  // the draw holds a graph
    return mean.item<double>();
}

void SearchSteps::note_choices(double progress) {
    auto now = architecture_.likeliest();
    if (now != progress_.likeliest) {
        progress_.likeliest = std::move(now);
        progress_.changed_at = progress;
    }
    if (config_.settled <= 0) return;
    if (progress - progress_.changed_at >= config_.settled * (1 - config_.warmup)) progress_.settled = true;
}

void SearchSteps::run_likeliest() { model_.standing_entries().put(choose_slots(architecture_.likeliest())); }

nlohmann::ordered_json SearchSteps::record(double progress) const {
    return {{"progress", progress},
            {"temperature", temperature(progress)},
            {"probabilities", architecture_.probabilities()},
            {"likeliest", architecture_.likeliest()},
            {"expected_cost", architecture_.expected_cost()}};
}

}  // namespace lithe
