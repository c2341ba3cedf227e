#include "lithe/spec/layout.h"

#include <algorithm>

#include "lithe/base/error.h"
#include "lithe/base/text.h"

namespace lithe {
namespace {

constexpr size_t kMaxText = 10000;
constexpr int kMaxDepth = 64;
constexpr int64_t kMaxRepeat = 10000;
constexpr int64_t kMaxBlocks = 100000;

bool is_letter(char c) { return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) && c != 'x' && c != 'X'; }

bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

class Parser {
 public:
    explicit Parser(std::string_view text) : text_(text) {}

    LayoutNode parse() {
        if (text_.size() > kMaxText)
            error_at(0, "the layout is longer than " + std::to_string(kMaxText) + " characters");
        LayoutNode root;
        root.children = items('\0', 0);
        if (root.children.empty()) error_at(0, "the layout is empty: write at least one block, such as u or -");
        count_checked(root);
        return root;
    }

 private:
    [[noreturn]] void error_at(size_t position, const std::string& what) const {
        constexpr size_t kShown = 60;
        size_t first = position > kShown / 2 ? position - kShown / 2 : 0;
        std::string shown(text_.substr(first, kShown));
        // one cell per byte, so that the mark stands under the right one
        std::replace_if(
            shown.begin(), shown.end(), [](char c) { return c < ' ' || c > '~'; }, '.');
        fail_usage("layout, column " + std::to_string(position + 1) + ": " + what + "\n  " + shown + "\n  " +
                   std::string(position - first, ' ') + "^");
    }

    void skip_spaces() {
        while (at_ < text_.size() &&
               (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
            ++at_;
    }

    bool more() {
        skip_spaces();
        return at_ < text_.size();
    }

    std::vector<LayoutNode> items(char closing, int depth) {
        std::vector<LayoutNode> list;
        while (more()) {
            if (text_[at_] == closing && closing) return list;
            LayoutNode node = unit(depth);
            node.repeat = repetition();
            list.push_back(std::move(node));
        }
        return list;
    }

    int64_t repetition() {
        if (!more() || text_[at_] != 'x') return 1;
        size_t mark = at_++;
        skip_spaces();
        int64_t count = 0;
        size_t digits = at_;
        while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
            count = std::min<int64_t>(count * 10 + (text_[at_] - '0'), kMaxRepeat + 1);
            ++at_;
        }
        if (digits == at_) error_at(mark, "'x' must be followed by a number of repetitions, as in x12");
        if (count < 1 || count > kMaxRepeat) error_at(digits, "a repetition is 1 to " + std::to_string(kMaxRepeat));
        if (more() && text_[at_] == 'x')
            error_at(at_, "only one repetition per item: put the item in ( ) to repeat it again");
        return count;
    }

    LayoutNode unit(int depth) {
        if (depth > kMaxDepth) error_at(at_, "groups are nested deeper than " + std::to_string(kMaxDepth));
        char c = text_[at_];
        LayoutNode node;
        node.column = int(at_) + 1;
        if (c == '~') return reversible(depth);
        if (c == '@') return halting(depth);
        if (c == '(' || c == '[') return group(c, depth);
        if (c == '?') return slot();
        if (c == '<') {
            node.type = LayoutNode::Type::block;
            node.name = name();
            return node;
        }
        if (is_letter(c) || c == '-') {
            node.type = LayoutNode::Type::block;
            node.name = std::string(1, c);
            ++at_;
            return node;
        }
        if (c == 'x') error_at(at_, "'x' repeats the item before it, and there is none here");
        if (c == ')' || c == ']' || c == '}' || c == '>') error_at(at_, std::string("'") + c + "' closes nothing");
        error_at(at_, "expected a letter, '-', '<name>', '(', '[', '~', '@' or '?'");
    }

    LayoutNode reversible(int depth) {
        const size_t mark = at_++;
        if (!more() || (text_[at_] != '(' && text_[at_] != '['))
            error_at(mark, "'~' stands before a group: ~(sf)x12 is a reversible run of twelve");
        LayoutNode node = group(text_[at_], depth);
        if (has_slots(node)) error_at(mark, "a reversible run holds no searched place");
        if (has_reversible(node)) error_at(mark, "a reversible run holds no other one");
        if (has_halting(node)) error_at(mark, "a reversible run holds no halting run, which cannot be taken back");
        node.reversible = true;
        node.column = int(mark) + 1;
        return node;
    }

    LayoutNode halting(int depth) {
        const size_t mark = at_++;
        if (!more() || (text_[at_] != '(' && text_[at_] != '['))
            error_at(mark, "'@' stands before a group: @[sf]x12 is a halting run of at most twelve steps");
        LayoutNode node = group(text_[at_], depth);
        if (node.type == LayoutNode::Type::group && has_slots(node))
            error_at(mark, "steps of a halting run that are searched are alike: its group is [ ]");
        node.halting = true;
        node.column = int(mark) + 1;
        return node;
    }

    LayoutNode group(char opening, int depth) {
        LayoutNode node;
        node.type = opening == '(' ? LayoutNode::Type::group : LayoutNode::Type::shared_group;
        node.column = int(at_) + 1;
        char closing = opening == '(' ? ')' : ']';
        size_t start = at_++;
        node.children = items(closing, depth + 1);
        if (at_ >= text_.size()) error_at(start, std::string("'") + opening + "' is never closed");
        ++at_;
        if (node.children.empty()) error_at(start, "the group is empty");
        return node;
    }

    std::string name() {
        size_t start = at_++;
        size_t first = at_;
        while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
        if (at_ >= text_.size()) error_at(start, "'<' is never closed");
        if (text_[at_] != '>') error_at(at_, "a name holds letters, digits, '_' and '-' only");
        if (at_ == first) error_at(start, "the name is empty");
        std::string result(text_.substr(first, at_ - first));
        ++at_;
        return result;
    }

    LayoutNode slot() {
        LayoutNode node;
        node.type = LayoutNode::Type::slot;
        node.column = int(at_) + 1;
        size_t start = at_++;
        if (!more() || text_[at_] != '{') return node;
        ++at_;
        while (more() && text_[at_] != '}') {
            LayoutNode candidate;
            candidate.type = LayoutNode::Type::block;
            candidate.column = int(at_) + 1;
            if (text_[at_] == '<') {
                candidate.name = name();
            } else if (is_letter(text_[at_]) || text_[at_] == '-') {
                candidate.name = std::string(1, text_[at_++]);
            } else {
                error_at(at_, "a candidate is a letter, '-' or '<name>'");
            }
            for (const LayoutNode& other : node.children)
                if (other.name == candidate.name)
                    error_at(size_t(candidate.column) - 1, "the candidate stands here twice");
            node.children.push_back(std::move(candidate));
        }
        if (at_ >= text_.size()) error_at(start, "'{' is never closed");
        ++at_;
        if (node.children.size() < 2) error_at(start, "a searched place needs at least two candidates");
        return node;
    }

    int64_t count_checked(const LayoutNode& node) const {
        int64_t inside = 0;
        if (node.type == LayoutNode::Type::block || node.type == LayoutNode::Type::slot) inside = 1;
        else
            for (const LayoutNode& child : node.children)
                inside = std::min(inside + count_checked(child), kMaxBlocks + 1);
        if (inside * node.repeat > kMaxBlocks)
            error_at(size_t(node.column) - 1, "the layout has more than " + std::to_string(kMaxBlocks) + " blocks");
        return inside * node.repeat;
    }

    std::string_view text_;
    size_t at_ = 0;
};

void append(const LayoutNode& node, bool root, std::string& text) {
    auto inside = [&] {
        for (const LayoutNode& child : node.children) append(child, false, text);
    };
    if (node.reversible) text += '~';
    if (node.halting) text += '@';
    switch (node.type) {
        case LayoutNode::Type::block:
            text += node.name.size() == 1 && (is_letter(node.name[0]) || node.name == "-") ? node.name
                                                                                           : "<" + node.name + ">";
            break;
        case LayoutNode::Type::group:
            if (root) return inside();
            text += '(';
            inside();
            text += ')';
            break;
        case LayoutNode::Type::shared_group:
            text += '[';
            inside();
            text += ']';
            break;
        case LayoutNode::Type::slot:
            text += '?';
            if (!node.children.empty()) {
                text += '{';
                inside();
                text += '}';
            }
            break;
    }
    if (node.repeat > 1) text += "x" + std::to_string(node.repeat);
}

void collect(const LayoutNode& node, std::vector<std::pair<std::string, int>>& names) {
    if (node.type == LayoutNode::Type::block) {
        auto same = [&](const auto& entry) { return entry.first == node.name; };
        if (std::none_of(names.begin(), names.end(), same)) names.emplace_back(node.name, node.column);
    }
    for (const LayoutNode& child : node.children) collect(child, names);
}

}  // namespace

LayoutNode parse_layout(std::string_view text) { return Parser(text).parse(); }

std::string to_string(const LayoutNode& node) {
    std::string text;
    append(node, node.type == LayoutNode::Type::group && node.repeat == 1 && !node.reversible && !node.halting, text);
    return text;
}

int64_t count_blocks(const LayoutNode& node) {
    if (node.type == LayoutNode::Type::block || node.type == LayoutNode::Type::slot) return node.repeat;
    int64_t inside = 0;
    for (const LayoutNode& child : node.children) inside += count_blocks(child);
    return inside * node.repeat;
}

std::vector<std::pair<std::string, int>> block_names(const LayoutNode& node) {
    std::vector<std::pair<std::string, int>> names;
    collect(node, names);
    return names;
}

bool has_slots(const LayoutNode& node) {
    if (node.type == LayoutNode::Type::slot) return true;
    return std::any_of(node.children.begin(), node.children.end(), has_slots);
}

bool has_reversible(const LayoutNode& node) {
    return node.reversible || std::any_of(node.children.begin(), node.children.end(), has_reversible);
}

bool has_halting(const LayoutNode& node) {
    return node.halting || std::any_of(node.children.begin(), node.children.end(), has_halting);
}

}  // namespace lithe
