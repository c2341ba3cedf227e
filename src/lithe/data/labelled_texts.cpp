#include "lithe/data/labelled_texts.h"

#include "lithe/base/error.h"
#include "lithe/base/text.h"

namespace lithe {

TextMarks marks_of(const Tokenizer& tokenizer) {
    const auto one = [](std::optional<int64_t> id) { return id ? std::vector{*id} : std::vector<int64_t>(); };
    if (const auto separator = find_token(tokenizer, "[SEP]"))
        return {one(find_token(tokenizer, "[CLS]")), {*separator}, {*separator}};
    if (const auto begin = find_token(tokenizer, "<s>"), end = find_token(tokenizer, "</s>"); begin && end)
        return {{*begin}, {*end, *end}, {*end}};
    if (const auto end = tokenizer.document_end()) return {{}, {*end}, {*end}};
    return {{}, tokenizer.encode(neutral_prompt(tokenizer)), {}};
}

LabelledTexts::LabelledTexts(const TokenView& tokens, Options options)
    : tokens_(&tokens),
      options_(std::move(options)) {
    if (pairs() && tokens.documents() % 2 != 0)
        fail_file("the text does not consist of pairs: it has " + std::to_string(tokens.documents()) + " documents",
                  "data", "data.second names the field of the second text");
    if (marks() + (pairs() ? 2 : 1) > options_.length)
        fail_usage("a row has no room for a text beside its " + std::to_string(marks()) + " marks", "train.length",
                   "raise it above " + std::to_string(options_.length));
}

int64_t LabelledTexts::marks() const {
    const TextMarks& marks = options_.marks;
    return int64_t(marks.before.size() + (pairs() ? marks.between.size() : 0) + marks.after.size());
}

// Documents may hold the mark behind them already.
std::vector<int64_t> LabelledTexts::side(uint64_t document) const {
    std::vector<int64_t> ids = read_document(*tokens_, document);
    const std::vector<int64_t>& after = options_.marks.after;
    if (after.size() == 1 && !ids.empty() && ids.back() == after[0]) ids.pop_back();
    return ids;
}

int64_t LabelledTexts::whole_length(uint64_t number) const {
    if (!pairs()) return int64_t(side(number).size()) + marks();
    return int64_t(side(2 * number).size() + side(2 * number + 1).size()) + marks();
}

LabelledTexts::Sides LabelledTexts::cut_sides(uint64_t number) const {
    const auto room = size_t(options_.length - marks());
    if (!pairs()) {
        Sides sides{side(number), {}};
        if (sides.first.size() > room) sides.first.resize(room);
        return sides;
    }
    Sides sides{side(2 * number), side(2 * number + 1)};
    const size_t all = sides.first.size() + sides.second.size();
    for (size_t over = all > room ? all - room : 0; over > 0; --over)
        (sides.first.size() > sides.second.size() ? sides.first : sides.second).pop_back();
    return sides;
}

const std::string& LabelledTexts::label(uint64_t number) const {
    static const std::string none;
    const int32_t label = tokens_->document_label(pairs() ? 2 * number : number);
    const std::vector<std::string>& names = tokens_->label_names();
    if (label < 0 || names.empty()) return none;
    if (size_t(label) >= names.size())
        fail_file("document " + std::to_string(number) + " has label number " + std::to_string(label) + " of " +
                      std::to_string(names.size()),
                  "token set", "prepare the data again");
    return names[size_t(label)];
}

void LabelledTexts::fill_row(Batch& batch, int64_t row, uint64_t number) const {
    const Sides sides = cut_sides(number);
    const TextMarks& marks = options_.marks;
    int64_t t = 0;
    const auto put = [&](const std::vector<int64_t>& ids, uint8_t flags) {
        for (const int64_t id : ids) {
            const auto place = size_t(t++ * batch.rows + row);
            batch.inputs[place] = id;
            batch.flags[place] = flags;
        }
    };
    put(marks.before, 0);
    put(sides.first, 0);
    if (pairs()) {
        put(marks.between, 0);
        put(sides.second, kSecondText);
    }
    put(marks.after, pairs() ? kSecondText : 0);
    batch.tokens += t;
    for (; t < batch.length; ++t) batch.flags[size_t(t * batch.rows + row)] = kPadding;
}

void LabelledTexts::fill(const std::vector<uint64_t>& numbers, Batch& batch) const {
    batch = Batch();
    batch.rows = int64_t(numbers.size());
    batch.begins = true;
    batch.length = 1;
    for (const uint64_t number : numbers) batch.length = std::max(batch.length, length(number));
    const auto positions = size_t(batch.length * batch.rows);
    batch.inputs.assign(positions, 0);
    batch.targets.assign(positions, -1);
    batch.flags.assign(positions, 0);
    for (int64_t row = 0; row < batch.rows; ++row) fill_row(batch, row, numbers[size_t(row)]);
}

}  // namespace lithe
