#include "lithe/data/corpus.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <mutex>

#include "lithe/base/error.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/data/cache_folder.h"
#include "lithe/data/documents.h"
#include "lithe/data/prepare.h"
#include "lithe/tokenize/bytes.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

// Bytes of plain files that need no preparation: each file is one document and is read in place.
bool readable_in_place(const DataConfig& config, const std::vector<Input>& inputs) {
    const bool one_each =
        inputs.size() == 1 || (config.path.empty() && !fs::is_directory(config.train) && inputs.size() <= 3);
    return one_each && config.tokenizer == "bytes" && config.deduplicate == Duplicates::none &&
           files_are_documents(config, inputs);
}

[[noreturn]] void fail_tokenizer(const std::string& path, const Tokenizer& wanted, const Tokenizer& found) {
    fail(
        {.kind = ErrorKind::bad_file,
         .what = "the data has another tokenizer than it is to be read with",
         .where = path,
         .expected =
             "hash " + wanted.hash() + " (" + wanted.kind() + ", " + std::to_string(wanted.vocabulary_size()) + " ids)",
         .got = "hash " + found.hash() + " (" + found.kind() + ", " + std::to_string(found.vocabulary_size()) + " ids)",
         .hint = "prepare the data with that tokenizer: " + command("data prepare", {option("tokenizer", "FILE")})});
}

}  // namespace

std::pair<double, std::string> parse_source(const std::string& entry) {
    double weight = 0;
    const auto [end, error] = std::from_chars(entry.data(), entry.data() + entry.size(), weight);
    std::string_view rest(end, size_t(entry.data() + entry.size() - end));
    const size_t star = rest.find_first_not_of(' ');
    if (error != std::errc() || star == std::string_view::npos || rest[star] != '*') return {0, entry};
    if (!(weight > 0) || weight > 1e12)
        fail_usage("the weight of a source must be above 0, got \"" + printable(entry) + "\"", "data.sources");
    rest.remove_prefix(star + 1);
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    return {weight, std::string(rest)};
}

// Fills a Corpus; apart from it so that the header stays small.
class CorpusBuilder {
 public:
    CorpusBuilder(const DataConfig& config, TokenizerPtr tokenizer, std::stop_token stop)
        : config_(config),
          given_(std::move(tokenizer)),
          stop_(std::move(stop)) {}

    Corpus build() {
        if (!config_.sources.empty()) {
            from_sources();
        } else {
            from_one();
            tell_division();
            for (const CorpusSplit& split : corpus_.splits_)
                if (split.name == "train") corpus_.sources_.push_back({split.name, 1, split.tokens});
        }
        return std::move(corpus_);
    }

 private:
    // Once for a corpus that is opened several times in a row, by a plan and then by its training.
    void tell_division() const {
        static std::mutex mutex;
        static std::string told;
        const std::string line = "split      " + corpus_.division_;
        const std::string key = config_.path + "\n" + config_.train + "\n" + line;
        std::lock_guard lock(mutex);
        if (key == told) return;
        told = key;
        log_info(line);
    }

    void from_one() {
        if (config_.path.empty() && config_.train.empty())
            fail_usage("no data is named", "data.path",
                       "add to the configuration, or to the command line: " + setting("data.path=FILE"));
        if (TokenSet::looks_like(config_.path)) {
            from_token_set(config_.path);
        } else {
            const Listing listing = find_inputs(config_);
            if (listing.inputs.empty()) fail_file("the folder holds no files that match", config_.train);
            parse_split(config_.split);
            const bool bytes = !given_ || given_->kind() == "bytes";
            if (bytes && readable_in_place(config_, listing.inputs)) from_plain(listing);
            else from_cache();
            // the division was told when the text was prepared, maybe before these folders were there
            if (const std::string own = listing.own.words(); corpus_.division_.find(own) == std::string::npos)
                corpus_.division_ += "; left out: " + own;
        }
    }

    void from_sources() {
        if (!config_.path.empty() || !config_.train.empty())
            fail_usage("data.sources stands beside data.path or data.train", "data.sources",
                       "name the text in one of them only");
        std::vector<std::vector<std::shared_ptr<const TokenView>>> parts(3);
        bool weighted = false, unweighted = false;
        for (const std::string& entry : config_.sources) {
            auto [weight, path] = parse_source(entry);
            (weight > 0 ? weighted : unweighted) = true;
            DataConfig config = config_;
            config.sources.clear();
            config.path = path;
            Corpus one = Corpus::open(config, corpus_.tokenizer_ ? corpus_.tokenizer_ : given_, stop_);
            corpus_.tokenizer_ = one.tokenizer_;
            for (size_t s = 0; s < 3; ++s)
                for (const CorpusSplit& split : one.splits_)
                    if (split.name == kSplitNames[s] && split.tokens->size() > 0) parts[s].push_back(split.tokens);
            if (one.has("train"))
                corpus_.sources_.push_back(
                    {path, weight > 0 ? weight : double(one.split("train").size()), one.sources_[0].train});
        }
        if (weighted && unweighted)
            fail_usage("some of data.sources have a weight and some have none", "data.sources",
                       "give all of them one, as \"2 * PATH\"");
        for (CorpusSource& source : corpus_.sources_) source.share = std::pow(source.share, 1 / config_.temperature);
        for (size_t s = 0; s < 3; ++s)
            corpus_.splits_.push_back({kSplitNames[s], std::make_shared<JoinedTokens>(parts[s])});
    }

    void from_token_set(const std::string& path) {
        TokenSet set(path);
        corpus_.tokenizer_ = tokenizer_from_json(set.tokenizer_json(), path);
        if (corpus_.tokenizer_->hash() != set.info().tokenizer_hash)
            fail_file("the tokenizer in the token set has hash " + corpus_.tokenizer_->hash() +
                          " but the index claims " + set.info().tokenizer_hash,
                      path);
        if (corpus_.tokenizer_->vocabulary_size() != set.info().vocabulary_size)
            fail_file("the tokenizer has " + std::to_string(corpus_.tokenizer_->vocabulary_size()) +
                          " ids, and the index claims " + std::to_string(set.info().vocabulary_size),
                      path);
        if (given_ && given_->hash() != corpus_.tokenizer_->hash()) fail_tokenizer(path, *given_, *corpus_.tokenizer_);
        corpus_.division_ = set.info().division.empty() ? "as prepared" : set.info().division;
        for (size_t s = 0; s < set.info().splits.size(); ++s)
            corpus_.splits_.push_back(
                {set.info().splits[s].name,
                 std::make_shared<ShardedTokens>(set.ranges(s), set.info().splits[s].bytes,
                                                 KnownDocuments{set.info().labels, set.info().parallel})});
    }

    void from_plain(const Listing& listing) {
        corpus_.division_ = division_words(listing, config_);
        corpus_.tokenizer_ = given_ ? given_ : named_tokenizer(config_);
        if (!corpus_.tokenizer_)
            corpus_.tokenizer_ = train_tokenizer(config_, training_options(config_, stop_), 0, false);
        const auto& bytes = dynamic_cast<const tokenize::ByteTokenizer&>(*corpus_.tokenizer_);
        std::array<int32_t, 256> ids{};
        for (int byte = 0; byte < 256; ++byte) ids[size_t(byte)] = bytes.id_of(static_cast<unsigned char>(byte));
        for (const Input& input : listing.inputs) {
            auto file = std::make_shared<MappedFile>(input.path);
            const uint64_t end = file->bytes().size();
            const uint64_t mark = std::min(mark_of_file(input.path), end), size = end - mark;
            if (size == 0) fail_file("the file is empty", input.path);
            if (input.split >= 0) {
                corpus_.splits_.push_back(
                    {kSplitNames[input.split], std::make_shared<MappedText>(file, mark, end, ids)});
                continue;
            }
            const SplitRule rule = parse_split(config_.split);
            if (rule.by != SplitBy::bytes)
                fail_usage("data.split = \"" + config_.split + "\" needs a folder or several documents", config_.path,
                           "shares such as \"90/5/5\" cut a single document");
            const auto [valid, test] = split_borders(rule.shares, size);
            const uint64_t borders[4] = {0, valid, test, size};
            for (size_t i = 0; i < 3; ++i)
                corpus_.splits_.push_back({kSplitNames[i], std::make_shared<MappedText>(file, mark + borders[i],
                                                                                        mark + borders[i + 1], ids)});
        }
    }

    // Takes a set of the cache that is finished, whole and of the tokenizer asked for. One that is not finished is left
    // alone: a preparation goes on with it, or is going on.
    bool opens(const std::string& path, bool tell = true) {
        if (!TokenSet::is_finished(path)) return false;
        try {
            if (given_ && TokenSet(path).info().tokenizer_hash != given_->hash()) return false;
            from_token_set(path);
            return true;
        } catch (const Error& error) {
            if (tell) log_warning(std::string("made anew: ") + error.what());
            corpus_ = Corpus();
            return false;
        }
    }

    // Makes room for a set of the cache whose files are damaged; what is not a token set's stays. Under the lock, for
    // another process may have made it anew meanwhile.
    void clear(const std::string& path) {
        if (!fs::exists(path)) return;
        FileLock lock(path + "/.lock", "for another process that prepares the same text", IfHeld::wait, stop_);
        if (TokenSet::is_finished(path) ? opens(path, false) : is_preparation(path)) return;
        remove_own_files(path, [](const std::string& name) { return name != ".lock" && TokenSet::is_own_file(name); });
    }

    void from_cache() {
        const std::string folder = cache_folder();
        const TokenizerPtr named = named_tokenizer(config_), tokenizer = given_ ? given_ : named;
        auto place_of = [&](const std::string& made_with) {
            return folder + "/" + corpus_identity(config_, made_with) + ".tokens";
        };
        const std::string path = place_of(tokenizer ? tokenizer->hash() : config_.tokenizer);
        // a tokenizer that was made from this text: the set that it was made for
        if (given_ && !named && opens(place_of(config_.tokenizer))) return;
        if (opens(path)) return;
        clear(path);
        if (corpus_.tokenizer_) return;
        log_info("preparing " + (config_.path.empty() ? config_.train : config_.path) + " once into " + path);
        PrepareOptions options;
        options.progress = true;
        options.share = true;
        options.stop = stop_;
        prepare_tokens(config_, path, options, tokenizer);
        from_token_set(path);
    }

    DataConfig config_;
    TokenizerPtr given_;
    std::stop_token stop_;
    Corpus corpus_;
};

Corpus Corpus::open(const DataConfig& config, TokenizerPtr tokenizer, std::stop_token stop) {
    return CorpusBuilder(config, std::move(tokenizer), std::move(stop)).build();
}

const std::string& Corpus::fingerprint() const {
    if (!fingerprint_.empty()) return fingerprint_;
    constexpr uint64_t kBlock = 1 << 20;  // tokens
    std::string text = tokenizer_->hash();
    std::vector<int64_t> block(kBlock);
    for (const CorpusSplit& split : splits_) {
        const uint64_t size = split.tokens->size();
        text += "|" + split.name + ":" + std::to_string(size);
        for (uint64_t at = 0; at < size; at += kBlock) {
            const uint64_t count = std::min(kBlock, size - at);
            split.tokens->read(at, count, block.data());
            text += to_hex(hash_bytes({reinterpret_cast<const char*>(block.data()), count * sizeof(int64_t)}));
        }
    }
    return fingerprint_ = "all:" + to_hex(hash_bytes(text));
}

std::string Corpus::sampled_fingerprint() const {
    std::string text = tokenizer_->hash();
    for (const CorpusSplit& split : splits_) {
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

bool Corpus::is(const std::string& fingerprint) const {
    const bool sampled = fingerprint.find(':') == std::string::npos;
    return fingerprint == (sampled ? sampled_fingerprint() : this->fingerprint());
}

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
