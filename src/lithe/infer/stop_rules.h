// When a text is over: a list of rules, each asked after every token. A new rule is a class here and its row in
// stop_rules_of().
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lithe {

// What a text has come to so far, behind its prompt.
struct Written {
    std::vector<int64_t> tokens;
    std::string text;  // of these tokens, as far as it is sure; empty where no rule reads it
    size_t fresh = 0;  // where in the text what came last begins
};

// How a text ended, and what of it counts.
struct Ending {
    std::string reason;  // "end", "stop", "tokens"; "caller" and "stopped" are told by who decodes
    size_t tokens = 0;   // that count, from the first
    size_t bytes = 0;    // of Written::text that count
};

class StopRule {
 public:
    virtual ~StopRule() = default;
    virtual bool reads_text() const { return false; }
    // nullopt: it goes on. Called after each token.
    virtual std::optional<Ending> ending(const Written& written) const = 0;
    // Bytes at the end of the text that may belong to an ending: not to be shown yet.
    virtual size_t held_back(const Written&) const { return 0; }
};
using StopRules = std::vector<std::unique_ptr<StopRule>>;

struct StopOptions {
    int64_t tokens = 200;        // at most
    std::optional<int64_t> end;  // the token that ends a text; it does not count
    // A text ends before the first of these that is complete, whatever tokens it is cut into; of two that end together
    // before the longer one.
    std::vector<std::string> strings;
};
StopRules stop_rules_of(const StopOptions& options);

}  // namespace lithe
