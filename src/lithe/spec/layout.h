// Layout strings: one line that describes a stack of blocks.
//
//   layout := { item }                      spaces are free
//   item   := unit [ 'x' COUNT ]            COUNT 1 … 10000
//   unit   := LETTER | '-' | '<' NAME '>' | [ '~' | '@' ] group | '?' [ '{' { candidate } '}' ]
//   group  := '(' layout ')' | '[' layout ']'
//   candidate := LETTER | '-' | '<' NAME '>'
//
// `( )` is a group, the unit of layer dropping and checkpointing; `[ ]` shares its weights over its repetitions (per
// lexical occurrence; state stays per application); `~` makes a group and its repetitions a reversible run
// (model/reversible.h), which holds neither searched places nor another such run; `@` makes the repetitions of a group
// steps of a halting run (model/halting.h), with searched places in `@[ ]` alone; `?` is a searched place, each
// occurrence on its own (inside `[ ]` once). The tree is kept as written, not flattened. `x` is no letter.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lithe {

struct LayoutNode {
    enum class Type { block, group, shared_group, slot };
    Type type = Type::group;
    std::string name;                  // block: letter, "-" or the name inside < >
    std::vector<LayoutNode> children;  // groups: what is inside; slot: its candidates (empty = the default set)
    int64_t repeat = 1;
    bool reversible = false;  // groups: '~' stands before it
    bool halting = false;     // groups: '@' stands before it
    int column = 1;           // 1-based, of the first character
};

// The root is a group. Throws a usage error whose text shows the layout and points at the column.
LayoutNode parse_layout(std::string_view text);

// Canonical text; parse_layout(to_string(tree)) gives the same tree but for columns.
std::string to_string(const LayoutNode& node);

// Blocks that are applied, repetitions counted. A slot counts as one.
int64_t count_blocks(const LayoutNode& node);

// Every block name in the tree, in order of first appearance (slot candidates too), each with its column.
std::vector<std::pair<std::string, int>> block_names(const LayoutNode& node);
bool has_slots(const LayoutNode& node);
bool has_reversible(const LayoutNode& node);
bool has_halting(const LayoutNode& node);

}  // namespace lithe
