#include "lithe/spec/config_model.h"

namespace lithe {

// How tokens become vectors, and vectors tokens.
static void visit_vocabulary(ModelConfig& model, FieldVisitor& v) {
    v.field({.name = "embedding_init", .help = "uniform: +-sqrt(3/width); normal: standard deviation 0.02"},
            model.embedding_init);
    v.field(
        {.name = "embedding_scale", .help = "what embeddings are multiplied by: 1, or the square root of the width"},
        model.embedding_scale);
    v.field({.name = "embedding_width",
             .help = "width of tokens' vectors, which a product brings to model.width, as in ALBERT; 0: model.width",
             .minimum = 0,
             .maximum = 1 << 20},
            model.embedding_width);
    v.field({.name = "direction", .help = "causal: a position sees earlier ones; bidirectional: it sees all"},
            model.direction);
    v.field({.name = "head",
             .help = "what turns the stack's output into logits: linear; transform: BERT's (product, gelu, norm) "
                     "before it; adaptive: with model.adaptive.cutoffs; none: an encoder alone, for its counts"},
            model.head);
    v.field(
        {.name = "head_bias", .help = "a bias of each token's logit, in the linear head and behind BERT's transform"},
        model.head_bias);
}

void NgramConfig::visit(FieldVisitor& v) {
    v.field({.name = "lengths",
             .help = "lengths of n-grams that are looked up besides the token, by hash, as \"2-6, 8, 12\"; empty = "
                     "none"},
            lengths);
    v.field({.name = "rows",
             .help = "rows of the table per length of n-gram",
             .unit = Amount::count,
             .minimum = 1,
             .maximum = 1 << 28},
            rows);
    v.field({.name = "width", .help = "numbers per row", .minimum = 1, .maximum = 1 << 16}, width);
}

void AdaptiveConfig::visit(FieldVisitor& v) {
    v.field(
        {.name = "cutoffs", .help = "where bins of rarer words begin, as \"20000/40000/200000\"; empty = one softmax"},
        cutoffs);
    v.field({.name = "divisor",
             .help = "each bin's vectors are narrower by this than those of the bin before",
             .minimum = 1,
             .maximum = 1024},
            divisor);
    v.field({.name = "tie_projections",
             .help = "projections that embedding and softmax share: those of the tails, or none"},
            tie_projections);
    v.field({.name = "cluster_order",
             .help = "the first tail has the last column of the head (original: Transformer-XL's PyTorch code), or the "
                     "first (forward: TensorFlow, Hugging Face)"},
            cluster_order);
}

void BertConfig::visit(FieldVisitor& v) {
    v.field({.name = "embedding_norm", .help = "layer norm of the embeddings' sum"}, embedding_norm);
    v.field(
        {.name = "token_types",
         .help = "BERT's segment embeddings; 0 = none. Training uses the first alone: those above it stay as they are",
         .minimum = 0,
         .maximum = 1024},
        token_types);
    v.field({.name = "pooler", .help = "BERT's pooler: tanh of a product of a position, before the head of labels"},
            pooler);
}

// Tables stand last: in a file a table's settings end where the next one begins.
static void visit_parts(ModelConfig& model, FieldVisitor& v) {
    v.section({.name = "ngrams", .help = "n-grams that are looked up besides the token"},
              [&](FieldVisitor& s) { model.ngrams.visit(s); });
    v.section({.name = "adaptive", .help = "adaptive embeddings and softmax"},
              [&](FieldVisitor& s) { model.adaptive.visit(s); });
    v.section({.name = "bert", .help = "what BERT has around its stack"},
              [&](FieldVisitor& s) { model.bert.visit(s); });
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
                     "their projections, which costs less and lets them age by a segment"},
            memory_form);
    v.field({.name = "heads", .help = "attention heads", .minimum = 1, .maximum = 4096}, heads);
    v.field({.name = "norm",
             .help = "norm of blocks without a skip of their own: before the block, after the residual, or none"},
            norm);
    v.field({.name = "norm_form",
             .help = "of norms around blocks and before the head: layer norm, or RMS norm (Zhang and Sennrich 2019)"},
            norm_form);
    v.field({.name = "final_norm", .help = "a norm before the head"}, final_norm);
    v.field({.name = "norm_epsilon",
             .help = "what every norm adds to the variance or the mean square; BERT has 1e-12",
             .minimum = 1e-16,
             .maximum = 1},
            norm_epsilon);
    v.field({.name = "tie_embeddings", .help = "the head's matrix is the embedding"}, tie_embeddings);
    v.field({.name = "positions",
             .help = "absolute positions added to the embedding, relative or rotary ones in every attention block, or "
                     "coordinates: sinusoids of position and layer before every layer (Universal Transformer)"},
            positions);
    v.field({.name = "max_positions",
             .help = "number of absolute positions; 0 = train.length",
             .unit = Amount::count,
             .minimum = 0,
             .maximum = 1 << 24},
            max_positions);
    visit_vocabulary(*this, v);
    v.field({.name = "adapter_width",
             .help = "inner size of the adapters behind every block (Houlsby et al. 2019); 0 = none",
             .minimum = 0,
             .maximum = 1 << 20},
            adapter_width);
    visit_parts(*this, v);
}

}  // namespace lithe
