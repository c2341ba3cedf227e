// The smallest run that exercises everything: SRU++ and attention blocks, dropout, carried state.
#pragma once

#include "support/files.h"

namespace lithe::testing {

inline std::string tiny_config(const TemporaryFolder& folder, const std::string& more = "") {
    folder.write("text.txt", sample_text(20'000));
    return folder.write("tiny.toml",
                        "[model]\nwidth = 16\nlayout = \"u(sf)\"\nheads = 2\nmemory = 8\ndropout = "
                        "0.1\n[blocks.u]\nheads = 1\n[blocks.s]\nattention_dropout = 0.1\n"
                        "[data]\npath = \"" +
                            folder.file("text.txt") +
                            "\"\n[optimizer]\nlearning_rate = 1e-2\n[schedule]\nname = \"constant\"\nwarmup = 10\n"
                            "[train]\nbatch = 4\nlength = 8\nthreads = 1\nlog_every = 1\n[evaluation]\nbytes = "
                            "300\nlead = 16\n[sample]\ntokens = 5\n" +
                            more);
}

}  // namespace lithe::testing
