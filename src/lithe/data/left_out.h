// What a corpus does not use of what was named, with reasons: nothing is left out without a word.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace lithe {

class LeftOut {
 public:
    void add(const std::string& name, const std::string& reason);
    void add(const LeftOut& others);
    bool empty() const { return reasons_.empty(); }
    // "README, LICENSE (no split in the name); a.png, b.png and 7 more (binary)"
    std::string words() const;

 private:
    static constexpr size_t kShown = 3;
    struct Reason {
        std::string reason;
        std::vector<std::string> names;  // the first of them
        uint64_t count = 0;
    };
    Reason& of(const std::string& reason);
    std::vector<Reason> reasons_;
};

}  // namespace lithe
