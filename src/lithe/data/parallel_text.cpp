#include "lithe/data/parallel_text.h"

#include <filesystem>

#include "lithe/base/error.h"
#include "lithe/base/text.h"
#include "lithe/data/line_reader.h"

namespace lithe {
namespace {

// Takes the ending of a packed file off a name, and returns it.
std::string take_packed(std::string& name) {
    for (const std::string suffix : {".gz", ".xz", ".zst", ".bz2"})
        if (name.ends_with(suffix)) {
            name.resize(name.size() - suffix.size());
            return suffix;
        }
    return "";
}

}  // namespace

std::string partner_path(const std::string& path, const std::string& extension) {
    std::string stem = path;
    const std::string packed = take_packed(stem);
    const size_t dot = stem.rfind('.'), slash = stem.rfind('/');
    if (dot != std::string::npos && (slash == std::string::npos || dot > slash)) stem.resize(dot);
    return stem + extension + packed;
}

bool is_partner(const std::string& name, const std::string& extension) {
    std::string stem = name;
    take_packed(stem);
    return stem.ends_with(extension);
}

void read_pairs(const DataConfig& config, const Input& input, PartEmitter& out) {
    if (!config.parallel.starts_with('.'))
        fail_usage("the other side of a pair is named by an ending: \"." + config.parallel + "\"", "data.parallel");
    const std::string partner = partner_path(input.path, config.parallel);
    if (std::error_code ignored; !std::filesystem::exists(partner, ignored))
        fail({.kind = ErrorKind::bad_file,
              .what = "the other side of the pairs is not there",
              .where = partner,
              .expected = "beside " + input.path + ", since data.parallel is \"" + config.parallel + "\"",
              .hint = "data.parallel is the ending of the files with the targets, as in \".en\""});
    LineReader source(input.path, config.max_expansion);
    LineReader target(partner, config.max_expansion);
    std::string from, to;
    for (;;) {
        const bool a = source.next(from), b = target.next(to);
        if (a != b)
            fail_file(
                "it has more lines than its partner " + (a ? target : source).path() + ", which ends after line " +
                    std::to_string((a ? target : source).number()),
                (a ? source : target).path(),
                "line n of one file is the translation of line n of the other: fill in or take out what is missing");
        if (!a) return;
        out.check_stop(input.path);
        out.input_bytes += from.size() + 1;
        if (trimmed(from).empty() || trimmed(to).empty()) {
            out.statistics.left_out.add(
                input.path.substr(input.path.rfind('/') + 1) + " line " + std::to_string(source.number()),
                "an empty side of a pair, which no score counts either: fill it in");
            continue;
        }
        out.add_record(from, to, {});
    }
}

}  // namespace lithe
