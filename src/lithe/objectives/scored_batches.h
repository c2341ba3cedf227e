// What an evaluation reads: batches whose targets are scored, in an order that is always the same.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lithe/data/batch.h"
#include "lithe/spec/config_run.h"

namespace lithe {

struct EvaluationProtocol {
    std::string split = "valid";
    uint64_t bytes = 0;  // of the split's text, from its beginning; 0 = all. The same for every tokenizer
    int64_t batch = 16, length = 256, memory = 0, lead = 1024;
    AttentionMask mask = AttentionMask::causal;
    int64_t clamp_length = -1;  // of relative positions; -1: as in training
    bool documents = false;     // state and attention begin anew with each document, as in training on documents
    std::optional<int32_t>
        document_end;  // the token that ends documents: it is the input before a document's first token
    Precision precision = Precision::fp32;
};

// An entry of an evaluation's passes: the number of the first row that is here among all that are read.
struct FirstRow {
    int64_t number = 0;
};

class ScoredBatches {
 public:
    virtual ~ScoredBatches() = default;
    // Null at the end; the batch is there until the next call.
    virtual const Batch* next() = 0;
    virtual double progress() const = 0;  // share that was read
    virtual int64_t rows() const = 0;     // of the first batch; later ones have as many or fewer
};

}  // namespace lithe
