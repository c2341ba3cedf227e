// A stack of a layout, with its weights drawn.
#pragma once

#include "lithe/model/stack.h"
#include "lithe/spec/config_io.h"

namespace lithe::testing {

inline Config small(const std::string& layout, const std::string& more = "") {
    return parse_config("[model]\nwidth = 8\nheads = 2\nmemory = 6\nlayout = \"" + layout + "\"\n" + more, "test");
}

struct BuiltStack {
    ParameterStore store;
    Config config;
    Stack stack;
    explicit BuiltStack(const std::string& layout, const GroupWrapper& wrap = {}, const std::string& more = "",
                        const StackOptions& options = {})
        : BuiltStack(small(layout, more), options, wrap) {}
    explicit BuiltStack(Config given, const StackOptions& options = {}, const GroupWrapper& wrap = {})
        : config(std::move(given)) {
        Problems problems;
        LayoutNode tree = parse_layout(config.model.layout);
        auto blocks = resolve_blocks(tree, config.model, config.blocks, problems);
        problems.throw_if_any("test");
        stack = build_stack(tree, blocks, config.model, store, "body", wrap, options);
        store.materialize(at::kDouble, at::kDouble, at::kCPU, 3);
    }
};

}  // namespace lithe::testing
