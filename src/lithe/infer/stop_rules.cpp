#include "lithe/infer/stop_rules.h"

#include <algorithm>

#include "lithe/base/error.h"
#include "lithe/base/wording.h"

namespace lithe {
namespace {

class EndToken : public StopRule {
 public:
    explicit EndToken(int64_t token) : token_(token) {}
    std::optional<Ending> ending(const Written& written) const override {
        if (written.tokens.empty() || written.tokens.back() != token_) return std::nullopt;
        return Ending{"end", written.tokens.size() - 1, written.text.size()};
    }

 private:
    int64_t token_;
};

class MostTokens : public StopRule {
 public:
    explicit MostTokens(int64_t most) : most_(most) {}
    std::optional<Ending> ending(const Written& written) const override {
        if (int64_t(written.tokens.size()) < most_) return std::nullopt;
        return Ending{"tokens", size_t(most_), written.text.size()};
    }

 private:
    int64_t most_;
};

class StopStrings : public StopRule {
 public:
    explicit StopStrings(std::vector<std::string> strings) : strings_(std::move(strings)) {
        for (const std::string& each : strings_)
            if (each.empty()) fail_usage("a stop string is empty: every text would end at once", option("stop"));
    }
    bool reads_text() const override { return true; }
    std::optional<Ending> ending(const Written& written) const override {
        size_t first = std::string::npos;
        size_t first_end = std::string::npos;
        for (const std::string& each : strings_) {
            const size_t begin = written.text.find(each, written.fresh - std::min(written.fresh, each.size() - 1));
            if (begin == std::string::npos) continue;
            const size_t end = begin + each.size();
            if (end > first_end || (end == first_end && begin > first)) continue;
            first = begin;
            first_end = end;
        }
        if (first == std::string::npos) return std::nullopt;
        return Ending{"stop", written.tokens.size(), first};
    }
    // The longest end of the text that one of the strings begins with.
    size_t held_back(const Written& written) const override {
        size_t most = 0;
        for (const std::string& each : strings_)
            for (size_t length = std::min(each.size() - 1, written.text.size()); length > most; --length)
                if (written.text.compare(written.text.size() - length, length, each, 0, length) == 0) most = length;
        return most;
    }

 private:
    std::vector<std::string> strings_;
};

}  // namespace

// Asked in this order: a text that ends in several ways at once ends in the first.
StopRules stop_rules_of(const StopOptions& options) {
    StopRules rules;
    if (options.end) rules.push_back(std::make_unique<EndToken>(*options.end));
    if (!options.strings.empty()) rules.push_back(std::make_unique<StopStrings>(options.strings));
    rules.push_back(std::make_unique<MostTokens>(options.tokens));
    return rules;
}

}  // namespace lithe
