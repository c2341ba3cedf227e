// Run folders as training leaves them, written for what reads them.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/files.h"

namespace lithe::testing {

// A run of 40 steps with one evaluation of `bits` per byte; `more`: further settings. Its metrics end cut off.
inline void write_run(const TemporaryFolder& folder, const std::string& name, int seed, double bits,
                      const std::string& more = "", double joules = -1) {
    folder.write(name + "/config.toml",
                 "[model]\nwidth = 64\nlayout = \"ux2\"\n[train]\nseed = " + std::to_string(seed) +
                     "\n[checkpoint]\nkeep = " + std::to_string(seed) + "\n" + more);
    std::string lines;
    for (int step = 1; step <= 40; ++step)
        lines += R"({"step":)" + std::to_string(step) + R"(,"tokens":)" + std::to_string(step * 100) +
                 R"(,"seconds":)" + std::to_string(step * 0.5) + R"(,"loss":)" + std::to_string(2.0 + 3.0 / step) +
                 R"(,"tokens_per_second":200.0,"peak_rss_bytes":1048576)" +
                 (joules >= 0 ? ",\"joules\":" + std::to_string(joules * step) : "") + "}\n";
    lines += R"({"step":40,"tokens":4000,"seconds":20.0,"valid":{"bits_per_byte":)" + std::to_string(bits) +
             R"(,"bytes":800,"tokens":400,"protocol":{"split":"valid","memory":256}}})" + "\n{\"step\":41, cut";
    folder.write(name + "/metrics.jsonl", lines);
    folder.write(name + "/run.json", R"({"starts":[{"cpu":"A","threads":1},{"cpu":"A","threads":2}]})");
}

// Runs NAME1, NAME2, … of the seeds 1, 2, …
inline void write_seeds(const TemporaryFolder& folder, const std::string& name, const std::vector<double>& bits,
                        const std::string& more = "") {
    for (size_t i = 0; i < bits.size(); ++i) write_run(folder, name + std::to_string(i + 1), int(i + 1), bits[i], more);
}

inline void name_data(const TemporaryFolder& folder, const std::string& name, const std::string& fingerprint,
                      const std::string& tokenizer) {
    folder.write(name + "/run.json", R"({"starts":[{"cpu":"A","threads":2,"data_fingerprint":")" + fingerprint +
                                         R"(","tokenizer_hash":")" + tokenizer + R"("}]})");
}

inline void change_valid(const TemporaryFolder& folder, const std::string& name, const std::string& from,
                         const std::string& to) {
    std::string metrics = read_all(folder.file(name + "/metrics.jsonl"));
    ASSERT_NE(metrics.find(from), std::string::npos);
    metrics.replace(metrics.find(from), from.size(), to);
    folder.write(name + "/metrics.jsonl", metrics);
}

}  // namespace lithe::testing
