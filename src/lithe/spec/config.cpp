#include "lithe/spec/config.h"

namespace lithe {

// How tokens become vectors, and vectors tokens.
static void visit_vocabulary(ModelConfig& model, FieldVisitor& v) {
    v.field({.name = "embedding_init",
             .help = "uniform: +-sqrt(3/width); normal: standard deviation 0.02",
             .choices = {"uniform", "normal"}},
            model.embedding_init);
    v.field({.name = "embedding_scale",
             .help = "what embeddings are multiplied by: 1, or the square root of the width",
             .choices = {"one", "sqrt_width"}},
            model.embedding_scale);
    v.field(
        {.name = "cutoffs",
         .help = "adaptive embeddings and softmax: where bins of rarer words begin, as \"20000/40000/200000\"; empty "
                 "= one softmax"},
        model.cutoffs);
    v.field({.name = "cutoff_divisor",
             .help = "adaptive: each bin's vectors are narrower by this than those of the bin before",
             .minimum = 1,
             .maximum = 1024},
            model.cutoff_divisor);
    v.field({.name = "tie_projections",
             .help = "adaptive: projections that embedding and softmax share: those of the tails, or none",
             .choices = {"tails", "none"}},
            model.tie_projections);
    v.field({.name = "cluster_order",
             .help = "adaptive: the first tail has the last column of the head (original: Transformer-XL's PyTorch "
                     "code), or the first (forward: TensorFlow, Hugging Face)",
             .choices = {"original", "forward"}},
            model.cluster_order);
}

static void visit_encoder(ModelConfig& model, FieldVisitor& v) {
    v.field({.name = "head",
             .help = "what turns the stack's output into logits: linear; transform: BERT's (product, gelu, norm) "
                     "before it; adaptive: with model.cutoffs; none: an encoder alone, for its counts",
             .choices = {"linear", "transform", "adaptive", "none"}},
            model.head);
    v.field({.name = "embedding_norm", .help = "layer norm of the embeddings' sum, as in BERT"}, model.embedding_norm);
    v.field(
        {.name = "token_types",
         .help = "BERT's segment embeddings; 0 = none. Training uses the first alone: those above it stay as they are",
         .minimum = 0,
         .maximum = 1024},
        model.token_types);
    v.field(
        {.name = "pooler", .help = "BERT's pooler: tanh of a product of the first position; no training uses it yet"},
        model.pooler);
}

void ModelConfig::visit(FieldVisitor& v) {
    v.field({.name = "width", .help = "model width d: size of the residual stream", .minimum = 1, .maximum = 1 << 20},
            width);
    v.field({.name = "layout", .help = "blocks of the stack, see docs/blocks.md"}, layout);
    v.field({.name = "vocabulary_size",
             .help = "number of token ids; 0 = the tokenizer's",
             .minimum = 0,
             .maximum = 1 << 24},
            vocabulary_size);
    v.field({.name = "dropout",
             .help = "dropout probability of embeddings, blocks and head",
             .minimum = 0,
             .maximum = 0.99},
            dropout);
    v.field({.name = "attention_dropout",
             .help = "dropout probability of attention weights",
             .minimum = 0,
             .maximum = 0.99},
            attention_dropout);
    v.field({.name = "memory",
             .help = "positions of earlier segments that attention sees",
             .unit = Amount::count,
             .minimum = 0,
             .maximum = 1 << 24},
            memory);
    v.field({.name = "memory_form",
             .help = "what training keeps of them: inputs, projected anew by today's weights (the papers' form), or "
                     "their projections, which costs less and lets them age by a segment",
             .choices = {"inputs", "projections"}},
            memory_form);
    v.field({.name = "heads", .help = "attention heads", .minimum = 1, .maximum = 4096}, heads);
    v.field({.name = "norm",
             .help = "layer norm of blocks without a skip of their own: before the block, after the residual, or none",
             .choices = {"pre", "post", "none"}},
            norm);
    v.field({.name = "final_norm", .help = "layer norm before the head"}, final_norm);
    v.field({.name = "norm_epsilon",
             .help = "what every layer norm adds to the variance; BERT has 1e-12",
             .minimum = 1e-16,
             .maximum = 1},
            norm_epsilon);
    v.field({.name = "tie_embeddings", .help = "the head's matrix is the embedding"}, tie_embeddings);
    v.field({.name = "positions",
             .help = "absolute positions added to the embedding, or relative ones in every attention block",
             .choices = {"none", "learned", "sinusoidal", "relative"}},
            positions);
    v.field({.name = "max_positions",
             .help = "number of absolute positions; 0 = train.length",
             .unit = Amount::count,
             .minimum = 0,
             .maximum = 1 << 24},
            max_positions);
    v.field({.name = "ngrams",
             .help = "longest n-gram that is looked up besides the token, by hash; 0 = none",
             .minimum = 0,
             .maximum = 64},
            ngrams);
    v.field(
        {.name = "ngram_lengths",
         .help = "lengths that are looked up, as \"2-6, 8, 12\", those up to model.ngrams; all = 2 to model.ngrams"},
        ngram_lengths);
    v.field({.name = "ngram_rows",
             .help = "rows of the table per length of n-gram",
             .unit = Amount::count,
             .minimum = 1,
             .maximum = 1 << 28},
            ngram_rows);
    v.field({.name = "ngram_width", .help = "numbers per row", .minimum = 1, .maximum = 1 << 16}, ngram_width);
    visit_vocabulary(*this, v);
    v.field({.name = "direction",
             .help = "causal: a position sees earlier ones; bidirectional: it sees all",
             .choices = {"causal", "bidirectional"}},
            direction);
    visit_encoder(*this, v);
}

void OptimizerConfig::visit(FieldVisitor& v) {
    v.field({.name = "name", .help = "update rule", .choices = {"adamw", "radam", "adam", "sgd", "muon", "lamb"}},
            name);
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
    v.field({.name = "decay", .help = "which parameters decay", .choices = {"matrices", "all"}}, decay);
    v.field({.name = "radam_fallback",
             .help = "radam's first steps, while the variance is intractable: a momentum step, or no update",
             .choices = {"sgd", "none"}},
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
                     "0.2 sqrt(max(rows, columns)), so that it is as large as adamw's (rms)",
             .choices = {"shape", "rms"}},
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
             .help = "shape of the learning rate after warm-up; 'recipe' is the SRU++ recipe's closed form",
             .choices = {"constant", "linear", "cosine", "wsd", "inverse_sqrt", "recipe"}},
            name);
    v.field(
        {.name = "axis",
         .help = "what the schedule runs over; budget = the share of the budget that is spent, of several that of "
                 "which most is; auto = that of the budget, of several \"budget\" (the first, with a warm-up that is "
                 "an amount)",
         .choices = {"auto", "steps", "tokens", "time", "budget"}},
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
                     "layerdrop",
             .choices = {"none", "progressive", "stochastic_depth", "layerdrop"}},
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
             .help = "progressive: the paper's keep probabilities and divisors, or those of its reference code",
             .choices = {"paper", "code"}},
            form);
    v.field({.name = "draw",
             .help = "layers are drawn for every micro-batch, or alike for all of an update",
             .choices = {"micro_batch", "update"}},
            draw);
    v.field({.name = "moments",
             .help = "parameters of layers that an update left out: advance (a zero gradient: moments fall, weights "
                     "move and decay) or hold (they stay as they are)",
             .choices = {"advance", "hold"}},
            moments);
}

void ObjectiveConfig::visit(FieldVisitor& v) {
    v.field({.name = "name", .help = "what is predicted: lithe info lists the objectives and their options"}, name);
    v.rest(options);
}

void Config::visit(FieldVisitor& v) {
    v.section({.name = "model", .help = "the network"}, [&](FieldVisitor& s) { model.visit(s); });
    v.section({.name = "data", .help = "the text"}, [&](FieldVisitor& s) { data.visit(s); });
    v.section({.name = "optimizer", .help = "the update rule"}, [&](FieldVisitor& s) { optimizer.visit(s); });
    v.section({.name = "schedule", .help = "the learning rate"}, [&](FieldVisitor& s) { schedule.visit(s); });
    v.section({.name = "layer_drop", .help = "layers that training steps leave out"},
              [&](FieldVisitor& s) { layer_drop.visit(s); });
    v.section({.name = "objective", .help = "what is predicted"}, [&](FieldVisitor& s) { objective.visit(s); });
    v.section({.name = "search", .help = "what stands at the searched places of a layout ('?')"},
              [&](FieldVisitor& s) { search.visit(s); });
    v.section({.name = "train", .help = "batch, budget, precision"}, [&](FieldVisitor& s) { train.visit(s); });
    v.section({.name = "evaluation", .help = "how validation is measured"},
              [&](FieldVisitor& s) { evaluation.visit(s); });
    v.section({.name = "checkpoint", .help = "what is saved when"}, [&](FieldVisitor& s) { checkpoint.visit(s); });
    v.section({.name = "sample", .help = "texts written during training"}, [&](FieldVisitor& s) { sample.visit(s); });
}

}  // namespace lithe
