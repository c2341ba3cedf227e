#include "lithe/objectives/next.h"

namespace lithe {

void NextValues::check(const Config& config, Problems& problems) const {
    if (config.model.direction == Direction::bidirectional && config.model.head != HeadForm::none)
        problems.add("a bidirectional model sees the next token and cannot predict it", "model.direction",
                     "objective.name = \"masked\", or model.head = \"none\"");
    refuse_encoder(config, problems);
}

std::unique_ptr<Objective> make_next(const ObjectiveOptions&, const Config&, const Tokenizer& tokenizer) {
    return std::make_unique<NextObjective>(tokenizer.vocabulary_size());
}

}  // namespace lithe
