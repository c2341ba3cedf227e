#include "lithe/spec/config_search.h"

namespace lithe {

static void visit_supernet(SearchConfig& c, FieldVisitor& v) {
    v.field({.name = "warmup",
             .help = "gumbel: updates of weights alone, as a share of the budget",
             .minimum = 0,
             .maximum = 0.99},
            c.warmup);
    v.field(
        {.name = "period", .help = "gumbel: updates per round of weights, then choices", .minimum = 2, .maximum = 1e9},
        c.period);
    v.field({.name = "share", .help = "gumbel: of a round, for the choices", .minimum = 0.001, .maximum = 0.99},
            c.share);
    v.field({.name = "held_out",
             .help = "gumbel: part of the training text that only updates of the choices see; 0 = the same text for "
                     "both",
             .minimum = 0,
             .maximum = 0.9},
            c.held_out);
    v.field({.name = "learning_rate", .help = "gumbel: of the choices (Adam)", .minimum = 0, .maximum = 100},
            c.learning_rate);
    v.field({.name = "weight_decay", .help = "gumbel: of the choices, in the gradient", .minimum = 0, .maximum = 10},
            c.weight_decay);
    v.field({.name = "beta1", .help = "gumbel: of the choices' Adam", .minimum = 0, .maximum = 0.9999}, c.beta1);
    v.field({.name = "beta2", .help = "gumbel: of the choices' Adam", .minimum = 0, .maximum = 0.99999}, c.beta2);
    v.field({.name = "temperature",
             .help = "gumbel: at the start; it falls exponentially once the choices are trained",
             .minimum = 0.001,
             .maximum = 1000},
            c.temperature);
    v.field(
        {.name = "final_temperature", .help = "gumbel: at the end of the budget", .minimum = 0.001, .maximum = 1000},
        c.final_temperature);
    v.field({.name = "sampling",
             .help = "gumbel: soft: every candidate runs, weighted; straight_through: the likeliest forward, the "
                     "weighted sum backward; single: as straight_through for choices, and weights are trained with one "
                     "drawn candidate per place"},
            c.sampling);
    v.field({.name = "tie_candidates", .help = "gumbel: a candidate has the same weights in every searched place"},
            c.tie_candidates);
    v.field({.name = "settled",
             .help = "gumbel: stop when the likeliest choices have not changed for this share of the time that "
                     "choices are trained; 0 = never",
             .minimum = 0,
             .maximum = 1},
            c.settled);
}

void SearchConfig::visit(FieldVisitor& v) {
    v.field({.name = "method",
             .help = "gumbel: one network with all candidates (PAR's search); random; evolution: regularised, with "
                     "successive halving"},
            method);
    v.field({.name = "supernet", .help = "train all candidates of searched places; set by lithe search"}, supernet);
    v.field({.name = "candidates", .help = "of a bare ? in the layout, as in ?{...}"}, candidates);
    visit_supernet(*this, v);
    v.field({.name = "cost",
             .help = "what a layout costs: none; latency: ms of one evaluation segment at batch 1 on this machine; "
                     "flops: forward, per token; parameters; memory: bytes of weights and carried state"},
            cost);
    v.field({.name = "cost_form",
             .help = "gumbel: how it enters the loss: multiply: CE alpha ln(cost)^beta (FBNet); add: CE + alpha cost / "
                     "(cost of the dearest layout); exceed: CE + alpha max(0, cost / budget - 1); none: by the budget "
                     "alone"},
            cost_form);
    v.field({.name = "alpha", .help = "weight of the cost", .minimum = 0, .maximum = 1e6}, alpha);
    v.field({.name = "beta", .help = "exponent of the cost, multiply only", .minimum = 0, .maximum = 100}, beta);
    v.field({.name = "budget",
             .help = "the most that the result may cost, in the unit of search.cost; 0 = no limit",
             .minimum = 0,
             .maximum = 1e30},
            budget);
    v.field({.name = "retrain_tokens",
             .help = "gumbel: train the result, the baselines and random layouts of equal cost from scratch, with so "
                     "many tokens each; 0 = not at all",
             .unit = Amount::count,
             .minimum = 0,
             .maximum = 1e15},
            retrain_tokens);
    v.field({.name = "baselines", .help = "layouts to train beside the result"}, baselines);
    v.field(
        {.name = "random_layouts",
         .help = "random layouts to train beside the result, which cost as much within 5 % by search.cost, or in FLOPs "
                 "where that is none; fewer where fewer do",
         .minimum = 0,
         .maximum = 1000},
        random_layouts);
    v.field({.name = "trial_tokens",
             .help = "random, evolution: tokens of a full trial",
             .unit = Amount::count,
             .minimum = 0,
             .maximum = 1e15},
            trial_tokens);
    v.field({.name = "population", .help = "evolution: layouts alive", .minimum = 2, .maximum = 100000}, population);
    v.field({.name = "tournament", .help = "evolution: layouts drawn for a parent", .minimum = 1, .maximum = 100000},
            tournament);
    v.field({.name = "rungs",
             .help = "evolution: how many lengths of training there are, each eta times as long as the one before",
             .minimum = 1,
             .maximum = 20},
            rungs);
    v.field({.name = "eta", .help = "evolution: see rungs", .minimum = 1.5, .maximum = 100}, eta);
    v.field({.name = "promotion",
             .help = "evolution: who is trained longer: halving, the best 1 / eta of each rung; hurdles, who beats the "
                     "mean of a rung's first layouts (progressive dynamic hurdles)"},
            promotion);
    v.field({.name = "hurdle_after",
             .help = "hurdles: layouts of a rung before its hurdle is set; 0: as many as population",
             .minimum = 0,
             .maximum = 100000},
            hurdle_after);
}

}  // namespace lithe
