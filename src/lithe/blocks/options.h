// A BlockOptions class from a plain struct with a visit() function.
#pragma once

#include "lithe/blocks/block.h"

namespace lithe {

template <class Values> class OptionsOf : public BlockOptions {
 public:
    explicit OptionsOf(const ModelConfig& model) : values(Values::defaults(model)) {}
    void visit(FieldVisitor& v) override { values.visit(v); }
    void check(const ModelConfig& model, const std::string& where, Problems& problems) const override {
        values.check(model, where, problems);
    }
    Values values;
};

template <class Values> std::unique_ptr<BlockOptions> make_options(const ModelConfig& model) {
    return std::make_unique<OptionsOf<Values>>(model);
}

template <class Values> const Values& values_of(const BlockOptions& options) {
    return static_cast<const OptionsOf<Values>&>(options).values;
}

}  // namespace lithe
