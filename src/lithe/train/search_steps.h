// Training the network of a search (every candidate at every searched place): whose turn a step is, what the others
// run, updates of the choices on a text of their own.
#pragma once

#include "lithe/data/prefetch.h"
#include "lithe/objectives/objective.h"
#include "lithe/train/architecture.h"

namespace lithe {

class SearchSteps {
 public:
    // `held_out`: feeds the updates of the choices; null: they go on in the text of the weights.
    SearchSteps(const Config& config, const Objective& objective, const Models& models,
                std::unique_ptr<Prefetcher> held_out);

    // All of it is in checkpoints.
    struct Progress {
        int64_t begin = -1;     // the first step behind the warm-up
        double changed_at = 0;  // progress at which the likeliest choices last changed
        std::vector<int64_t> likeliest;
        bool settled = false;  // they have not changed for long
        FeedPosition data;     // of the held-out text
    };

    // `progress`: the share of the budget that is spent. True: the step is for the choices.
    bool turn_of_choices(int64_t step, double progress);
    // Draws what a step of the weights runs.
    void draw_weights(uint64_t key, double progress);
    // One update of the choices; returns the loss.
    double update_choices(const Batch& batch, uint64_t key, double progress, State& carried);
    // After it; progress() then says whether the choices have settled.
    void note_choices(double progress);
    // From now on the model runs the likeliest choices, as for evaluation.
    void run_likeliest();

    Prefetcher* held_out() { return held_out_.get(); }
    State& carried() { return carried_; }
    double temperature(double progress) const;
    ArchitectureSearch& architecture() { return architecture_; }
    Progress& progress() { return progress_; }
    const Progress& progress() const { return progress_; }
    nlohmann::ordered_json record(double progress) const;  // for choices.jsonl

 private:
    SearchConfig config_;
    const Objective& objective_;
    const Models& models_;
    LanguageModel& model_;
    ArchitectureSearch architecture_;
    std::unique_ptr<Prefetcher> held_out_;
    State carried_;
    Progress progress_;
};

}  // namespace lithe
