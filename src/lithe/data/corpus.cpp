#include "lithe/data/corpus.h"

#include <fnmatch.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/stop.h"
#include "lithe/base/text.h"
#include "lithe/base/timer.h"
#include "lithe/formats/compressed.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t kChunk = 1 << 20;
const char* const kSplitNames[3] = {"train", "valid", "test"};

// A plain file, mapped; ids by look-up.
class MappedText : public TokenView {
 public:
    MappedText(std::shared_ptr<MappedFile> file, uint64_t begin, uint64_t end, const Tokenizer& tokenizer)
        : file_(std::move(file)),
          begin_(begin),
          end_(end) {
        for (int byte = 0; byte < 256; ++byte) ids_[size_t(byte)] = tokenizer.id_of(static_cast<unsigned char>(byte));
    }
    uint64_t size() const override { return end_ - begin_; }
    uint64_t bytes() const override { return size(); }
    void read(uint64_t begin, uint64_t count, int64_t* out) const override {
        if (begin > size() || count > size() - begin)
            fail({.what = "reading beyond the end of a split", .where = file_->path()});
        const std::byte* data = file_->bytes().data() + begin_ + begin;
        for (uint64_t i = 0; i < count; ++i) {
            out[i] = ids_[size_t(data[i])];
            if (out[i] < 0)
                fail_file("byte " + std::to_string(int(data[i])) + " at offset " + std::to_string(begin_ + begin + i) +
                              " is not in the vocabulary",
                          file_->path());
        }
    }

 private:
    std::shared_ptr<MappedFile> file_;
    uint64_t begin_, end_;
    std::array<int, 256> ids_{};
};

class FileTokens : public TokenView {
 public:
    FileTokens(std::shared_ptr<TokenFile> file, TokenSplit split) : file_(std::move(file)), split_(std::move(split)) {}
    uint64_t size() const override { return split_.end - split_.begin; }
    uint64_t bytes() const override { return split_.bytes; }
    void read(uint64_t begin, uint64_t count, int64_t* out) const override {
        if (begin > size() || count > size() - begin)
            fail({.what = "reading beyond the end of a split", .where = file_->name()});
        file_->read(split_.begin + begin, count, out);
    }

 private:
    std::shared_ptr<TokenFile> file_;
    TokenSplit split_;
};

struct Input {
    std::string path;
    int split = -1;      // -1: by bytes
    uint64_t order = 0;  // inside its split
};

uint64_t size_of(const std::string& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) fail_errno("cannot find data", path);
    return uint64_t(status.st_size);
}

void require_data(const std::string& path, const std::string& key) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) {
        int reason = errno;
        fail({.code = ExitCode::bad_file,
              .what = "cannot find the data: " + std::string(std::strerror(reason)),
              .where = path,
              .hint = "set " + key +
                      " to a text file, a folder, a compressed file or a token file (relative paths start at the "
                      "current folder)"});
    }
}

// What to read, in order, and which split a whole file goes to.
std::vector<Input> list_inputs(const DataConfig& config) {
    std::vector<Input> inputs;
    if (config.path.empty()) {
        const std::string* paths[3] = {&config.train, &config.valid, &config.test};
        for (int i = 0; i < 3; ++i) {
            if (paths[i]->empty()) continue;
            require_data(*paths[i], std::string("data.") + kSplitNames[i]);
            if (fs::is_directory(*paths[i]))
                for (auto& file : list_files(*paths[i], config.include, config.exclude)) inputs.push_back({file, i});
            else inputs.push_back({*paths[i], i});
        }
        return inputs;
    }
    require_data(config.path, "data.path");
    if (!fs::is_directory(config.path)) return {{config.path, -1}};
    auto files = list_files(config.path, config.include, config.exclude);
    if (files.empty())
        fail_file("the folder holds no files that match", config.path, "check data.include and data.exclude");
    if (config.split != "files") {
        for (const std::string& file : files) inputs.push_back({file});
        return inputs;
    }
    // by file: of each 20 files in the order of their paths, number 10 goes to valid and number 20 to test; inside a
    // split they stand in the order of a hash of their paths, so that any stretch of it is a fair sample of the folder
    for (size_t i = 0; i < files.size(); ++i)
        inputs.push_back({files[i],
                          i % 20 == 9    ? 1
                          : i % 20 == 19 ? 2
                                         : 0,
                          hash_bytes(fs::path(files[i]).lexically_relative(config.path).string())});
    std::stable_sort(inputs.begin(), inputs.end(), [](const Input& a, const Input& b) {
        return std::tie(a.split, a.order) < std::tie(b.split, b.order);
    });
    return inputs;
}

template <class F> void for_each_chunk(const std::string& path, const F& use) {
    ByteSource source(path);
    std::string buffer(kChunk, '\0');
    while (uint64_t count = source.read(buffer.data(), kChunk)) {
        if (stop_requested())
            fail({.code = ExitCode::stopped, .what = "stopped while preparing data; nothing was kept", .where = path});
        use(std::string_view(buffer.data(), count));
    }
}

Tokenizer make_tokenizer(const DataConfig& config, const std::vector<Input>& inputs) {
    if (config.vocabulary == "all") return Tokenizer();
    std::array<bool, 256> used{};
    for (const Input& input : inputs)
        for_each_chunk(input.path, [&](std::string_view text) {
            for (char c : text) used[static_cast<unsigned char>(c)] = true;
        });
    if (std::none_of(used.begin(), used.end(), [](bool b) { return b; }))
        fail_file("the data is empty", inputs.empty() ? "" : inputs[0].path);
    return Tokenizer(used);
}

std::vector<TokenSplit> splits_by_share(const std::string& split, uint64_t tokens) {
    auto shares = parse_split(split);
    double total = shares[0] + shares[1] + shares[2], sum = 0;
    std::vector<TokenSplit> splits;
    uint64_t begin = 0;
    for (int i = 0; i < 3; ++i) {
        sum += shares[size_t(i)];
        uint64_t end = i == 2 ? tokens : uint64_t(std::floor(double(tokens) * (sum / total) + 1e-9));
        splits.push_back({kSplitNames[i], begin, end, end - begin});
        begin = end;
    }
    return splits;
}

std::string cache_folder() {
    const char* cache = std::getenv("XDG_CACHE_HOME");
    const char* home = std::getenv("HOME");
    if (cache && *cache) return std::string(cache) + "/lithe";
    return std::string(home && *home ? home : "/tmp") + "/.cache/lithe";
}

std::string identity(const DataConfig& config, const std::vector<Input>& inputs) {
    std::string text = config.split + "|" + config.vocabulary + "|v2";
    for (const Input& input : inputs) {
        struct stat status {};
        if (stat(input.path.c_str(), &status) != 0) fail_errno("cannot find data", input.path);
        text += "|" + fs::absolute(input.path).lexically_normal().string() + ":" + std::to_string(status.st_size) +
                ":" + std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec) + ":" +
                std::to_string(input.split);
    }
    return to_hex(hash_bytes(text));
}

std::string fingerprint_of(const std::vector<CorpusSplit>& splits, const Tokenizer& tokenizer) {
    std::string text = tokenizer.hash();
    for (const CorpusSplit& split : splits) {
        uint64_t size = split.tokens->size(), count = std::min<uint64_t>(size, 4096);
        text += "|" + split.name + ":" + std::to_string(size);
        std::vector<int64_t> sample(count);
        for (uint64_t place : {uint64_t(0), (size - count) / 2, size - count}) {
            split.tokens->read(place, count, sample.data());
            text.append(reinterpret_cast<const char*>(sample.data()), count * sizeof(int64_t));
        }
    }
    return to_hex(hash_bytes(text));
}

}  // namespace

std::array<double, 3> parse_split(const std::string& split) {
    std::array<double, 3> shares{};
    const char* at = split.data();
    const char* end = at + split.size();
    bool good = true;
    for (size_t i = 0; i < 3 && good; ++i) {
        auto [next, error] = std::from_chars(at, end, shares[i]);
        good = error == std::errc() && shares[i] >= 0 && shares[i] <= 1e6 &&
               (i == 2 ? next == end : next != end && *next == '/');
        at = next + 1;
    }
    if (!good || shares[0] + shares[1] + shares[2] <= 0)
        fail({.code = ExitCode::usage,
              .what = "data.split",
              .where = "data",
              .expected = "three shares such as \"90/5/5\", or \"files\" for a folder",
              .got = "\"" + printable(split) + "\""});
    return shares;
}

std::vector<std::string> list_files(const std::string& folder, const std::vector<std::string>& include,
                                    const std::vector<std::string>& exclude) {
    std::vector<std::string> files;
    auto matches = [](const std::vector<std::string>& patterns, const std::string& name) {
        return std::any_of(patterns.begin(), patterns.end(),
                           [&](const std::string& pattern) { return fnmatch(pattern.c_str(), name.c_str(), 0) == 0; });
    };
    std::error_code error;
    for (fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, error), end;
         it != end; it.increment(error)) {
        if (error) fail_file("cannot list the folder: " + error.message(), folder);
        if (it->is_symlink() || !it->is_regular_file()) continue;
        std::string relative = fs::path(it->path()).lexically_relative(folder).string();
        if ((!include.empty() && !matches(include, relative)) || matches(exclude, relative)) continue;
        files.push_back(it->path().string());
    }
    if (error) fail_file("cannot list the folder: " + error.message(), folder);
    std::sort(files.begin(), files.end());
    return files;
}

TokenFileInfo prepare_tokens(const DataConfig& config, const std::string& output, bool show_progress) {
    auto inputs = list_inputs(config);
    if (inputs.empty())
        fail_usage("no data is named", "data.path",
                   "set data.path, for instance: lithe data prepare --out corpus.tokens corpus.txt");
    if (config.path.empty() == false && config.split != "files") parse_split(config.split);
    uint64_t input_bytes = 0;
    for (const Input& input : inputs) input_bytes += size_of(input.path);
    std::string folder = fs::path(output).parent_path().string();
    if (folder.empty()) folder = ".";
    if (free_bytes(folder) < input_bytes)
        fail({.code = ExitCode::resources,
              .what = "not enough disk space for the token file",
              .where = output,
              .expected = "at least " + format_bytes(double(input_bytes)),
              .got = format_bytes(double(free_bytes(folder))),
              .hint = "choose another place with --out, or free some space"});

    Tokenizer tokenizer = make_tokenizer(config, inputs);
    TokenFileWriter writer(output, 1);
    TokenFileInfo info;
    Timer timer;
    uint64_t split_begin[4] = {0, 0, 0, 0};
    std::string ids;
    int current = inputs[0].split;
    double shown = 0;
    for (const Input& input : inputs) {
        for (; current < input.split; ++current) split_begin[current + 1] = writer.tokens();
        writer.start_document();
        for_each_chunk(input.path, [&](std::string_view text) {
            ids.resize(text.size());
            for (size_t i = 0; i < text.size(); ++i)
                ids[i] = char(tokenizer.id_of(static_cast<unsigned char>(text[i])));
            writer.append(ids.data(), ids.size());
            if (show_progress && timer.seconds() > shown + 0.5) {
                shown = timer.seconds();
                log_progress("preparing " + format_bytes(double(writer.tokens())) + ", " +
                             format_bytes(double(writer.tokens()) / shown) + "/s");
            }
        });
    }
    log_progress("");
    if (writer.tokens() == 0) fail_file("the data is empty", inputs[0].path);
    if (inputs[0].split < 0) {
        info.splits = splits_by_share(config.split, writer.tokens());
    } else {
        for (; current < 3; ++current) split_begin[current + 1] = writer.tokens();
        for (int i = 0; i < 3; ++i)
            info.splits.push_back(
                {kSplitNames[i], split_begin[i], split_begin[i + 1], split_begin[i + 1] - split_begin[i]});
    }
    info.vocabulary_size = tokenizer.vocabulary_size();
    info.tokenizer = tokenizer.to_json();
    info.tokenizer_hash = tokenizer.hash();
    info.source = config.path.empty() ? config.train : config.path;
    info.tokens = writer.tokens();
    writer.finish(info);
    return info;
}

// Fills a Corpus; apart from it so that the header stays small.
class CorpusBuilder {
 public:
    static Corpus build(const DataConfig& config) {
        if (config.path.empty() && config.train.empty())
            fail_usage("no data is named", "data.path",
                       "add to the configuration, or to the command line: --set data.path=FILE");
        auto inputs = list_inputs(config);
        if (inputs.empty()) fail_file("the folder holds no files that match", config.train);
        Corpus corpus;
        bool plain = std::none_of(inputs.begin(), inputs.end(),
                                  [](const Input& input) { return ByteSource::is_compressed(input.path); });
        bool one_each =
            inputs.size() == 1 || (config.path.empty() && !fs::is_directory(config.train) && inputs.size() <= 3);
        if (inputs.size() == 1 && TokenFile::looks_like(inputs[0].path)) from_token_file(inputs[0].path, corpus);
        else if (plain && one_each) from_plain(config, inputs, corpus);
        else from_cache(config, inputs, corpus);
        corpus.fingerprint_ = fingerprint_of(corpus.splits_, corpus.tokenizer_);
        return corpus;
    }

 private:
    static void from_token_file(const std::string& path, Corpus& corpus) {
        auto file = std::make_shared<TokenFile>(path);
        corpus.tokenizer_ = Tokenizer::from_json(file->info().tokenizer, path);
        if (corpus.tokenizer_.hash() != file->info().tokenizer_hash)
            fail_file("the tokenizer in the file has hash " + corpus.tokenizer_.hash() + " but the file claims " +
                          file->info().tokenizer_hash,
                      path);
        for (const TokenSplit& split : file->info().splits)
            corpus.splits_.push_back({split.name, std::make_shared<FileTokens>(file, split)});
    }

    static void from_plain(const DataConfig& config, const std::vector<Input>& inputs, Corpus& corpus) {
        corpus.tokenizer_ = make_tokenizer(config, inputs);
        for (const Input& input : inputs) {
            auto file = std::make_shared<MappedFile>(input.path);
            uint64_t size = file->bytes().size();
            if (size == 0) fail_file("the file is empty", input.path);
            if (input.split >= 0) {
                corpus.splits_.push_back(
                    {kSplitNames[input.split], std::make_shared<MappedText>(file, 0, size, corpus.tokenizer_)});
                continue;
            }
            if (config.split == "files") fail_usage("data.split = \"files\" needs a folder", config.path);
            for (const TokenSplit& split : splits_by_share(config.split, size))
                corpus.splits_.push_back(
                    {split.name, std::make_shared<MappedText>(file, split.begin, split.end, corpus.tokenizer_)});
        }
    }

    static void from_cache(const DataConfig& config, const std::vector<Input>& inputs, Corpus& corpus) {
        std::string folder = cache_folder();
        make_folders(folder);
        std::string path = folder + "/" + identity(config, inputs) + ".tokens";
        if (TokenFile::looks_like(path)) {
            try {
                return from_token_file(path, corpus);
            } catch (const Error& error) {
                log_warning(std::string("made anew: ") + error.what());
                corpus = Corpus();
            }
        }
        log_info("preparing " + (config.path.empty() ? config.train : config.path) + " once into " + path);
        prepare_tokens(config, path, true);
        from_token_file(path, corpus);
    }
};

Corpus Corpus::open(const DataConfig& config) { return CorpusBuilder::build(config); }

bool Corpus::has(const std::string& name) const {
    return std::any_of(splits_.begin(), splits_.end(),
                       [&](const CorpusSplit& split) { return split.name == name && split.tokens->size() > 1; });
}

const TokenView& Corpus::split(const std::string& name) const {
    std::vector<std::string> names;
    for (const CorpusSplit& split : splits_) {
        names.push_back(split.name);
        if (split.name != name) continue;
        if (split.tokens->size() < 2)
            fail_file(
                "split '" + name + "' has " + std::to_string(split.tokens->size()) + " tokens; at least 2 are needed",
                "data", "use a larger text or another data.split");
        return *split.tokens;
    }
    fail_usage("the data has no split '" + printable(name) + "', it has: " + join(names, ", "), "data");
}

}  // namespace lithe
