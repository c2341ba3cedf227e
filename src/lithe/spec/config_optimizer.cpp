#include "lithe/spec/config_optimizer.h"

namespace lithe {

void OptimizerConfig::visit(FieldVisitor& v) {
    v.field({.name = "name", .help = "update rule"}, name);
    v.field({.name = "learning_rate", .help = "peak learning rate", .minimum = 0, .maximum = 1000}, learning_rate);
    v.field({.name = "beta1", .help = "decay of the first moment", .minimum = 0, .maximum = 0.999999}, beta1);
    v.field({.name = "beta2", .help = "decay of the second moment", .minimum = 0, .maximum = 0.999999}, beta2);
    v.field({.name = "epsilon", .help = "added to the denominator", .minimum = 1e-16, .maximum = 1}, epsilon);
    v.field({.name = "momentum", .help = "sgd: momentum", .minimum = 0, .maximum = 0.999999}, momentum);
    v.field(
        {.name = "weight_decay",
         .help = "adamw, radam, sgd: decoupled, times the rate; adam: added to the gradient; lamb: to the direction",
         .minimum = 0,
         .maximum = 10},
        weight_decay);
    v.field({.name = "decay", .help = "which parameters decay"}, decay);
    v.field({.name = "radam_fallback",
             .help = "radam's first steps, while the variance is intractable: a momentum step, or no update"},
            radam_fallback);
    v.field(
        {.name = "clip_norm", .help = "bound of the gradient's global norm; 0 = none", .minimum = 0, .maximum = 1e9},
        clip_norm);
    v.field({.name = "table_learning_rate",
             .help = "peak rate of n-gram tables, which take row-wise Adagrad",
             .minimum = 0,
             .maximum = 1000},
            table_learning_rate);
    v.field({.name = "muon_learning_rate",
             .help = "muon: peak rate of hidden matrices; embeddings, head and vectors take adamw's learning_rate",
             .minimum = 0,
             .maximum = 1000},
            muon_learning_rate);
    v.field({.name = "muon_momentum", .help = "muon: decay of the gradient's mean", .minimum = 0, .maximum = 0.999999},
            muon_momentum);
    v.field({.name = "muon_scale",
             .help = "muon: an update is orthogonal times sqrt(max(1, rows / columns)) (shape), or times "
                     "0.2 sqrt(max(rows, columns)), so that it is as large as adamw's (rms)"},
            muon_scale);
    v.field(
        {.name = "lookahead_steps",
         .help = "any rule: every so many updates the weights go back to a slow copy that has followed them; 0 = off",
         .minimum = 0,
         .maximum = 1000000},
        lookahead_steps);
    v.field({.name = "lookahead_rate",
             .help = "share of the way that the slow copy follows",
             .minimum = 0.001,
             .maximum = 1},
            lookahead_rate);
    v.field({.name = "average",
             .help = "evaluation, samples and model files have an average of the weights, decayed by this per update "
                     "(0.999; less at first); tables excepted; 0 = the weights themselves",
             .minimum = 0,
             .maximum = 0.9999999},
            average);
}

void ScheduleConfig::visit(FieldVisitor& v) {
    v.field({.name = "name",
             .help = "shape of the learning rate after warm-up; 'recipe' is the SRU++ recipe's closed form"},
            name);
    v.field(
        {.name = "axis",
         .help = "what the schedule runs over; budget = the share of the budget that is spent, of several that of "
                 "which most is; auto = that of the budget, of several \"budget\" (the first, with a warm-up that is "
                 "an amount)"},
        axis);
    v.field({.name = "warmup",
             .help = "linear warm-up: a share of the budget below 1, else an amount on the axis",
             .minimum = 0,
             .maximum = 1e15},
            warmup);
    v.field({.name = "decay",
             .help = "wsd (warm-up, stable, decay): share of the budget over which the rate falls linearly at the end",
             .minimum = 0.001,
             .maximum = 1},
            decay);
    v.field({.name = "final_ratio", .help = "final rate as a share of the peak", .minimum = 0, .maximum = 1},
            final_ratio);
}

void LayerDropConfig::visit(FieldVisitor& v) {
    v.field({.name = "method",
             .help = "which layers a training step leaves out: none; progressive layer dropping; stochastic_depth; "
                     "layerdrop"},
            method);
    v.field({.name = "keep",
             .help = "probability of being kept; progressive: of the last layer in the end (theta-bar); "
                     "stochastic_depth: of the last layer; layerdrop: of every layer",
             .minimum = 0.01,
             .maximum = 1},
            keep);
    v.field({.name = "gamma",
             .help = "progressive: how fast keep is reached, per update; 0 = never. The paper: 100 / updates",
             .minimum = 0,
             .maximum = 1000},
            gamma);
    v.field({.name = "form",
             .help = "progressive: the paper's keep probabilities and divisors, or those of its reference code"},
            form);
    v.field({.name = "draw", .help = "layers are drawn for every micro-batch, or alike for all of an update"}, draw);
    v.field({.name = "moments",
             .help = "parameters of layers that an update left out: advance (a zero gradient: moments fall, weights "
                     "move and decay) or hold (they stay as they are)"},
            moments);
}

}  // namespace lithe
