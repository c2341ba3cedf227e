// Settings of a run: training, evaluation, checkpoints, samples.
#include "lithe/spec/config_run.h"

namespace lithe {

void LoraConfig::visit(FieldVisitor& v) {
    v.field({.name = "rank", .help = "rank of the updates; 0 = none", .minimum = 0, .maximum = 1 << 16}, rank);
    v.field({.name = "alpha", .help = "an update counts alpha / rank times", .minimum = 1e-6, .maximum = 1e6}, alpha);
    v.field(
        {.name = "paths",
         .help = "paths of the matrices that have updates, as \"decoder.layers.0\"; empty = all matrices in layers"},
        paths);
}

// Which weights there are at first, and which stay.
void TrainConfig::visit_beginning(FieldVisitor& v) {
    v.field({.name = "init_from",
             .help = "a model whose weights training begins with, and whose tokenizer reads the text: RUN, RUN@best, "
                     "RUN@step:N or a .safetensors file of the same shape; empty = random weights"},
            init_from);
    v.field(
        {.name = "init_parts",
         .help = "paths of the parameters that train.init_from gives, as \"embeddings\" or \"encoder=decoder\" (the "
                 "encoder's from that model's decoder); the rest begins at random; empty = all"},
        init_parts);
    v.field({.name = "frozen",
             .help = "paths of the parameters that are not trained, as \"embeddings\" or \"decoder.layers.0\""},
            frozen);
    v.field({.name = "freeze_biases",
             .help = "whether biases under these paths are frozen, too; false with everything frozen is BitFit"},
            freeze_biases);
}

// How a step is computed.
void TrainConfig::visit_execution(FieldVisitor& v) {
    v.field({.name = "precision", .help = "fp32, or bf16 with fp32 master weights"}, precision);
    v.field({.name = "device", .help = "where it runs"}, device);
    v.field({.name = "threads",
             .help = "CPU threads; 0 = physical cores that this process may use",
             .minimum = 0,
             .maximum = 1024},
            threads);
    v.field({.name = "parts",
             .help = "parts of the batch's rows that a CPU trains side by side, a thread each; 0 = one per thread, "
                     "where there are no more than four; 1 = every operator on all threads",
             .minimum = 0,
             .maximum = 1024},
            parts);
    v.field(
        {.name = "graphs",
         .help = "on a GPU, record a step and play it again (CUDA graphs) where its work is the same for any tokens"},
        graphs);
    v.field(
        {.name = "recompute",
         .help = "activations that are not kept and computed again in the backward pass: none; uniform:K, groups of "
                 "K layers; optimal:S, the fewest layers again with S inputs kept; selective, cheap blocks; memory, "
                 "what is cheapest within train.max_memory"},
        recompute);
    v.field({.name = "max_memory",
             .help = "recompute = memory: bytes that the run may need, as \"2G\"; 0 = what the machine has",
             .unit = Amount::count,
             .minimum = 0,
             .maximum = 1e15},
            max_memory);
}

void TrainConfig::visit(FieldVisitor& v) {
    v.field(
        {.name = "batch", .help = "parallel streams (or sequences) per micro-batch", .minimum = 1, .maximum = 1 << 20},
        batch);
    v.field({.name = "length",
             .help = "time steps per segment, the reach of backpropagation through time",
             .unit = Amount::count,
             .minimum = 1,
             .maximum = 1 << 22},
            length);
    v.field({.name = "accumulation", .help = "micro-batches per update", .minimum = 1, .maximum = 1 << 16},
            accumulation);
    v.field({.name = "max_steps",
             .help = "budget in updates; 0 = none",
             .unit = Amount::count,
             .minimum = 0,
             .maximum = 1e15},
            max_steps);
    v.field({.name = "max_tokens",
             .help = "budget in tokens; 0 = none",
             .unit = Amount::count,
             .minimum = 0,
             .maximum = 1e15},
            max_tokens);
    v.field({.name = "max_seconds",
             .help = "budget in training time, evaluation and saving not counted; 0 = none",
             .unit = Amount::seconds,
             .minimum = 0,
             .maximum = 1e9},
            max_seconds);
    v.field({.name = "seed", .help = "initialisation, dropout, sampling", .minimum = 0, .maximum = 9e15}, seed);
    visit_beginning(v);
    visit_execution(v);
    v.field({.name = "non_finite",
             .help = "a loss or gradient that is not finite: end the run as diverged, or leave the update out"},
            non_finite);
    v.field({.name = "non_finite_limit",
             .help = "skip: consecutive updates left out before the run stops",
             .minimum = 1,
             .maximum = 1000000},
            non_finite_limit);
    v.field({.name = "log_every", .help = "updates per line of metrics.jsonl", .minimum = 1, .maximum = 1e9},
            log_every);
    v.field({.name = "patience",
             .help = "early stop: evaluations without a new best; 0 = off",
             .minimum = 0,
             .maximum = 1e9},
            patience);
    v.section({.name = "lora", .help = "updates of low rank of frozen matrices (LoRA)"},
              [&](FieldVisitor& s) { lora.visit(s); });
}

void EvaluationConfig::visit(FieldVisitor& v) {
    v.field({.name = "every",
             .help = "updates between evaluations during training; 0 = by time or at the end only",
             .unit = Amount::count,
             .minimum = 0,
             .maximum = 1e15},
            every);
    v.field({.name = "every_seconds",
             .help = "training time between evaluations; 0 = off",
             .unit = Amount::seconds,
             .minimum = 0,
             .maximum = 1e9},
            every_seconds);
    v.field({.name = "bytes",
             .help = "the valid split is scored up to this byte of its text; 0 = all",
             .unit = Amount::count,
             .minimum = 0,
             .maximum = 1e15},
            bytes);
    v.field({.name = "batch", .help = "parallel streams; 0 = train.batch", .minimum = 0, .maximum = 1 << 20}, batch);
    v.field({.name = "length",
             .help = "time steps per segment; 0 = train.length",
             .unit = Amount::count,
             .minimum = 0,
             .maximum = 1 << 22},
            length);
    v.field({.name = "memory", .help = "memory length; -1 = model.memory", .minimum = -1, .maximum = 1 << 24}, memory);
    v.field({.name = "lead",
             .help = "tokens read, not scored, before each stream's first scored token",
             .unit = Amount::count,
             .minimum = 0,
             .maximum = 1 << 24},
            lead);
    v.field({.name = "mask",
             .help = "causal: a query sees the whole memory; same_length: the last memory + 1 positions; "
                     "same_length_original: the last memory positions (Transformer-XL's PyTorch code)"},
            mask);
    v.field({.name = "clamp_length",
             .help = "relative positions beyond this count as this; 0 = no clamp, -1 = as in training",
             .minimum = -1,
             .maximum = 1 << 30},
            clamp_length);
}

void CheckpointConfig::visit(FieldVisitor& v) {
    v.field({.name = "every",
             .help = "updates between checkpoints; 0 = by time only",
             .unit = Amount::count,
             .minimum = 0,
             .maximum = 1e15},
            every);
    v.field({.name = "every_seconds",
             .help = "wall time between checkpoints; 0 = off",
             .unit = Amount::seconds,
             .minimum = 0,
             .maximum = 1e9},
            every_seconds);
    v.field({.name = "keep", .help = "newest checkpoints kept, besides the best", .minimum = 1, .maximum = 1000000},
            keep);
}

void SampleConfig::visit(FieldVisitor& v) {
    v.field({.name = "every", .help = "evaluations between samples; 0 = at the end only", .minimum = 0, .maximum = 1e9},
            every);
    v.field({.name = "prompt", .help = "text that samples continue"}, prompt);
    v.field({.name = "tokens", .help = "length of a sample", .unit = Amount::count, .minimum = 0, .maximum = 1 << 20},
            tokens);
    v.field({.name = "temperature", .help = "0 = the likeliest token", .minimum = 0, .maximum = 100}, temperature);
    v.field({.name = "pairs",
             .help = "of translations: so many pairs of validation are translated and scored, a beam of 5; 0 = none",
             .minimum = 0,
             .maximum = 1e9},
            pairs);
}

}  // namespace lithe
