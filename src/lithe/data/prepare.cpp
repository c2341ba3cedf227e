#include "lithe/data/prepare.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "lithe/base/cgroup.h"
#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/json.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/base/timer.h"
#include "lithe/base/wording.h"
#include "lithe/data/corpus_reader.h"
#include "lithe/data/parallel_text.h"
#include "lithe/data/part_batches.h"
#include "lithe/data/round_writer.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kJournal = "progress.json";
constexpr const char* kTokenizer = "tokenizer.json";
constexpr const char* kSchema = "lithe.prepare/1";

// Calls f(i) for i in [0, count) on some threads; the first error is thrown again here.
template <class F> void on_threads(size_t count, int threads, const F& f) {
    std::atomic<size_t> next = 0;
    std::exception_ptr error;
    std::mutex mutex;
    auto work = [&] {
        try {
            for (size_t i; (i = next++) < count;) f(i);
        } catch (...) {
            std::lock_guard lock(mutex);
            if (!error) error = std::current_exception();
            next = count;
        }
    };
    std::vector<std::thread> others;
    for (int t = 1; t < std::min<int>(threads, int(count)); ++t) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
    if (error) std::rethrow_exception(error);
}

struct Journal {
    std::string identity;
    CorpusSize size;
    uint64_t parts = 0;  // that are in finished rounds
    TokenSetInfo info;
};

void save_journal(const std::string& folder, const Journal& journal) {
    Json json = {{"schema", kSchema},           {"identity", journal.identity}, {"documents", journal.size.documents},
                 {"bytes", journal.size.bytes}, {"cut", journal.size.cut},      {"members", int(journal.size.members)},
                 {"parts", journal.parts},      {"set", to_json(journal.info)}};
    replace_file(folder + "/" + kJournal, json.dump(1) + "\n");
}

std::optional<Journal> load_journal(const std::string& folder) {
    const std::string path = folder + "/" + kJournal;
    if (!fs::exists(path)) return std::nullopt;
    const Json json = try_parse_json<Json>(read_file(path, 64 << 20)).value_or(Json());
    try {
        if (json.at("schema") != kSchema) return std::nullopt;
        Journal journal;
        journal.identity = json.at("identity").get<std::string>();
        journal.size = {whole(json.at("documents")), whole(json.at("bytes")), json.at("cut").get<bool>(),
                        NamedBy(int(whole(json.at("members"))))};
        journal.parts = whole(json.at("parts"));
        journal.info = token_set_from_json(json.at("set").get<std::string>(), path);
        return journal;
    } catch (const Json::exception&) { return std::nullopt; } catch (const Error&) {
        return std::nullopt;
    }
}

// What a preparation with this journal may have left: what it names, and what it was about to write next.
std::vector<std::string> own_names(const Journal& journal) {
    std::vector<std::string> names = {kJournal, kTokenizer, "index.json"};
    for (const TokenSetSplit& split : journal.info.splits) {
        for (const TokenShard& shard : split.shards) names.push_back(shard.file);
        names.push_back(TokenSet::shard_name(split.name, split.shards.size()));
    }
    return names;
}

// Removes what `old` left and `journal`, the one that goes on (or none), does not vouch for. Nothing else.
void clean_folder(const std::string& folder, const Journal& old, const Journal* journal) {
    std::vector<std::string> keep;
    if (journal) {
        keep = {kJournal, kTokenizer};
        for (const TokenSetSplit& split : journal->info.splits)
            for (const TokenShard& shard : split.shards) keep.push_back(shard.file);
    }
    const std::vector<std::string> own = own_names(old);
    remove_own_files(folder, [&](const std::string& name) {
        return std::find(keep.begin(), keep.end(), name) == keep.end() &&
               std::any_of(own.begin(), own.end(),
                           [&](const std::string& each) { return name == each || is_temporary_of(name, each); });
    });
}

// Whether a file may lie in a folder that a preparation takes for its own without a journal: what it makes before it.
bool is_first_trace(const std::string& name) { return name == ".lock" || is_temporary_of(name, kJournal); }

void check_output(const std::string& output) {
    if (!fs::exists(output)) {
        make_folders(output);
        return;
    }
    if (!fs::is_directory(output))
        fail_usage("the output is a file; a token set is a folder", output, "choose another name");
    if (load_journal(output)) return;
    if (TokenSet::is_finished(output))
        fail_usage("the folder holds a finished token set", output,
                   "choose another name with " + option("out") + ", or remove the folder");
    for (const auto& entry : fs::directory_iterator(output))
        if (const std::string name = entry.path().filename().string(); !is_first_trace(name))
            fail_usage("the folder is not empty: it holds " + printable(name) +
                           (name == kJournal ? ", which is not of an interrupted lithe data prepare" : ""),
                       output, "choose a new folder with " + option("out"));
}

// Tokens per byte of text of the first part, for the estimate of the disk space.
double density(const Tokenizer& tokenizer, const DataConfig& config) {
    if (tokenizer.kind() == "bytes") return 1;
    double result = 1;
    try {
        read_documents(config, list_inputs(config), [&](const DocumentPart& part) {
            std::vector<int32_t> ids;
            tokenizer.encode(part.text.substr(0, 1 << 16), ids, SpecialText::plain);
            result = double(ids.size()) / double(std::min<size_t>(part.text.size(), 1 << 16));
            throw ReaderGone();
        });
    } catch (const ReaderGone&) {
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::usage) throw;  // else the encoding will tell, with the place
    }
    return result;
}

void check_space(const std::string& output, double needed) {
    const auto free = double(free_bytes(output));
    if (free >= needed) return;
    fail({.kind = ErrorKind::resources,
          .what = "not enough disk space for the token set",
          .where = output,
          .expected = "about " + format_bytes(needed),
          .got = format_bytes(free),
          .hint = "free some space, or choose another place: " + option("out") +
                  " of lithe data prepare, XDG_CACHE_HOME for what other commands prepare"});
}

class Preparation {
 public:
    Preparation(const DataConfig& config, std::string output, const PrepareOptions& options, TokenizerPtr tokenizer)
        : config_(config),
          output_(std::move(output)),
          options_(options),
          tokenizer_(std::move(tokenizer)),
          reader_(config, tokenizer_ ? tokenizer_->kind() == "bytes" : config.tokenizer == "bytes", options.stop),
          threads_(options.threads > 0 ? options.threads : usable_processors()) {}

    TokenSetInfo run() {
        const bool trained = !tokenizer_;
        const std::string identity = corpus_identity(config_, trained ? config_.tokenizer : tokenizer_->hash()) + "-" +
                                     std::to_string(options_.round_bytes);
        if (!options_.share) check_output(output_);
        make_folders(output_);
        FileLock lock(
            output_ + "/.lock",
            options_.share ? "for another process that prepares " + name() : "another process prepares this token set",
            options_.share ? IfHeld::wait : IfHeld::fail, options_.stop);
        if (options_.share && TokenSet::is_finished(output_)) return TokenSet(output_).info();
        check_output(output_);
        const auto old = load_journal(output_);
        auto journal = old;
        if (journal && journal->identity != identity) {
            log_warning("the folder holds a preparation of other data or settings; it starts anew");
            journal.reset();
        }
        if (!fs::exists(output_ + "/" + kTokenizer))
            journal.reset();  // killed between its first two files: nothing is encoded yet
        if (old) clean_folder(output_, *old, journal ? &*journal : nullptr);
        if (journal) {
            journal_ = std::move(*journal);
            tokenizer_ =
                tokenizer_from_json(read_file(output_ + "/" + kTokenizer, 1 << 29), output_ + "/" + kTokenizer);
            reader_.set_size(journal_.size);
            if (journal_.parts > 0)
                log_info("resuming   " + format_count(double(journal_.info.tokens())) + " tokens are there already");
        } else {
            start(identity);
        }
        encode_all();
        finish();
        return journal_.info;
    }

 private:
    void start(const std::string& identity) {
        journal_.identity = identity;
        if (reader_.needs_size() || options_.progress) journal_.size = reader_.size(options_.progress);
        if (reader_.needs_size() && journal_.size.bytes == 0)
            fail_file("the data is empty", name(), "it was divided so: " + reader_.division());
        if (!tokenizer_)
            tokenizer_ = train_tokenizer(config_, training_options(config_, options_.stop), 0, options_.progress);
        TokenSetInfo& info = journal_.info;
        info.vocabulary_size = tokenizer_->vocabulary_size();
        info.token_bytes = token_bytes_of(info.vocabulary_size);
        info.tokenizer_hash = tokenizer_->hash();
        info.identity = identity;
        info.source = name();
        info.parallel = has_pairs(config_);
        for (const char* split : kSplitNames) info.splits.push_back({split, 0, 0, 0, {}});
        const auto text = double(std::max(journal_.size.bytes, reader_.input_bytes()));
        check_space(output_, text * density(*tokenizer_, config_) * info.token_bytes * 1.02 + (1 << 20));
        save_journal(output_, journal_);  // first: it is what marks the folder as a preparation
        replace_file(output_ + "/" + kTokenizer, tokenizer_->to_json());
    }

    void encode_all() {
        BatchQueue queue;
        PartBatcher batcher(queue, options_.round_bytes, journal_.parts);
        std::thread reading([&] {
            try {
                reader_.read([&](const DocumentPart& part) { batcher.take(part); });
                batcher.finish();
                queue.finish(nullptr);
            } catch (const ReaderGone&) { queue.finish(nullptr); } catch (...) {
                queue.finish(std::current_exception());
            }
        });
        struct Join {
            BatchQueue& queue;
            std::thread& thread;
            ~Join() {
                queue.close();
                thread.join();
            }
        } join{queue, reading};
        RoundWriter writer(output_, *tokenizer_, config_, journal_.info);
        Timer timer;
        uint64_t parts = journal_.parts, bytes = 0;
        while (auto batch = queue.pop()) {
            on_threads(batch->items.size(), threads_, [&](size_t i) { encode(batch->items[i]); });
            writer.write(*batch);
            parts += batch->items.size();
            bytes += batch->bytes;
            show(*batch, bytes, timer);
            if (!batch->round_ends) continue;
            writer.finish_round();
            journal_.parts = parts;
            save_journal(output_, journal_);
        }
        log_progress("");
    }

    // Text that the vocabulary cannot express is a fault of the data, at a place.
    void encode(TextBatch::Item& item) const {
        item.ids.reserve(item.text.size() / 2);
        try {
            tokenizer_->encode(item.text, item.ids, SpecialText::plain);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::usage) throw;
            fail_file(error.parts().what + " (counted from byte " + std::to_string(item.offset) + " of the text)",
                      name(), "make the tokenizer from this text too: lithe data train-tokenizer");
        }
    }

    void finish() {
        TokenSetInfo& info = journal_.info;
        info.removed = reader_.removed();
        info.division = reader_.division();
        if (info.tokens() == 0) fail_file("the data is empty", name(), "it was divided so: " + info.division);
        replace_file(output_ + "/index.json", to_json(info));
        fs::remove(output_ + "/" + kJournal);
        sync_folder(output_);
    }

    void show(const TextBatch& batch, uint64_t bytes, const Timer& timer) {
        if (!options_.progress || timer.seconds() < 0.2) return;
        const double rate = double(bytes) / timer.seconds();
        std::string text = "preparing " + format_bytes(double(bytes)) + ", " + format_bytes(rate) + "/s";
        const double total = reader_.plain() ? double(reader_.input_bytes()) : double(journal_.size.bytes);
        const double done = reader_.plain() ? double(batch.input_bytes) : double(bytes);
        if (total > done) text += ", " + format_seconds((total - done) / rate) + " left";
        log_progress(text);
    }
    std::string name() const {
        if (!options_.source.empty()) return options_.source;
        return config_.path.empty() ? config_.train : config_.path;
    }

    DataConfig config_;
    std::string output_;
    PrepareOptions options_;
    TokenizerPtr tokenizer_;
    CorpusReader reader_;
    int threads_;
    Journal journal_;
};

}  // namespace

bool is_preparation(const std::string& folder) { return load_journal(folder).has_value(); }

std::string corpus_identity(const DataConfig& config, const std::string& tokenizer) {
    std::string text = "v5|" + tokenizer;
    for (const std::string& each :
         {config.split, name_of(config.vocabulary), name_of(config.format), config.field, config.label, config.parallel,
          config.documents, name_of(config.document_end), name_of(config.deduplicate)})
        text += "|" + std::to_string(each.size()) + ":" + each;
    if (!config.second.empty()) text += "|second " + std::to_string(config.second.size()) + ":" + config.second;
    text +=
        "|" + std::to_string(config.min_count) + "|" + join(config.include, "\n") + "|" + join(config.exclude, "\n");
    const auto add = [&](const std::string& path, int split) {
        std::error_code error;
        const auto time = fs::last_write_time(path, error);
        const auto size = fs::file_size(path, error);
        text += "|" + fs::absolute(path).lexically_normal().string() + ":" + std::to_string(error ? 0 : size) + ":" +
                std::to_string(time.time_since_epoch().count()) + ":" + std::to_string(split);
    };
    for (const Input& input : list_inputs(config)) {
        add(input.path, input.split);
        if (!config.parallel.empty()) add(partner_path(input.path, config.parallel), input.split);
    }
    return to_hex(hash_bytes(text));
}

TokenSetInfo prepare_tokens(const DataConfig& config, const std::string& output, const PrepareOptions& options,
                            TokenizerPtr tokenizer) {
    if (!tokenizer) tokenizer = named_tokenizer(config);
    return Preparation(config, output, options, std::move(tokenizer)).run();
}

}  // namespace lithe
