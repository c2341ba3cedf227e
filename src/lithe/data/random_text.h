// A text of made-up tokens, in documents that fill a row: what speed is measured on where no text is at hand.
#pragma once

#include "lithe/data/token_view.h"
#include "lithe/spec/config.h"

namespace lithe {

// Token number i of stream `key`. Small ids are frequent, so that caches behave as on a text.
int64_t random_id(uint64_t key, uint64_t i, int64_t vocabulary);

class RandomText : public TokenView {
 public:
    // Documents as long as the configuration's rows; an even number, so that they are pairs, too.
    // Their labels are those of `labels` in turn.
    RandomText(uint64_t size, const Config& config, int64_t vocabulary, std::vector<std::string> labels = {});
    uint64_t size() const override { return size_; }
    uint64_t bytes() const override { return size_; }
    void read(uint64_t begin, uint64_t count, int64_t* out) const override;
    uint64_t documents() const override;
    uint64_t document_begin(uint64_t number) const override { return number * document_; }
    int32_t document_label(uint64_t number) const override {
        return labels_.empty() ? -1 : int32_t(number / 2 % labels_.size());
    }
    const std::vector<std::string>& label_names() const override { return labels_; }

 private:
    uint64_t size_, document_;
    int64_t vocabulary_;
    std::vector<std::string> labels_;
};

}  // namespace lithe
