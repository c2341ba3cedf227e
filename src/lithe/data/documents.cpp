#include "lithe/data/documents.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "lithe/base/error.h"
#include "lithe/base/json.h"
#include "lithe/base/stop.h"
#include "lithe/base/text.h"
#include "lithe/data/parallel_text.h"
#include "lithe/formats/csv.h"
#include "lithe/formats/packed.h"

namespace lithe {
namespace {

constexpr size_t kRead = 1 << 20;
constexpr size_t kLongestLine = size_t(1) << 29;  // of JSON

bool ends_with(const std::string& name, std::initializer_list<const char*> suffixes) {
    return std::any_of(suffixes.begin(), suffixes.end(), [&](const char* suffix) { return name.ends_with(suffix); });
}

// The format of a member, told by its name when the configuration says "auto".
std::string format_of(const std::string& format, std::string name) {
    if (format != "auto") return format;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    for (const char* packed : {".gz", ".xz", ".zst", ".bz2"})
        if (name.ends_with(packed)) name.resize(name.size() - std::string_view(packed).size());
    if (ends_with(name, {".jsonl", ".ndjson"})) return "jsonl";
    if (ends_with(name, {".csv"})) return "csv";
    return ends_with(name, {".tsv"}) ? "tsv" : "text";
}

// Where a document ends inside a text; empty: only with its file.
std::string separator_of(const std::string& documents) {
    if (documents == "file") return "";
    if (documents == "line") return "\n";
    if (documents == "blank_line") return "\n\n";
    return documents;
}

// One member of an input: bytes in, documents out.
class MemberReader {
 public:
    virtual ~MemberReader() = default;
    virtual void feed(std::string_view bytes) = 0;
    virtual void finish() = 0;
};

class TextReader : public MemberReader {
 public:
    TextReader(PartEmitter& out, std::string separator) : out_(out), separator_(std::move(separator)) {}
    void feed(std::string_view bytes) override {
        if (separator_.empty()) return add(bytes);
        buffer_ += bytes;
        size_t done = 0;
        for (size_t at; (at = buffer_.find(separator_, done)) != std::string::npos; done = at + separator_.size()) {
            add(std::string_view(buffer_).substr(done, at - done));
            end();
        }
        // what may be the start of a separator waits
        const size_t keep = std::min(buffer_.size() - done, separator_.size() - 1);
        add(std::string_view(buffer_).substr(done, buffer_.size() - done - keep));
        buffer_.erase(0, buffer_.size() - keep);
    }
    void finish() override {
        add(buffer_);
        buffer_.clear();
        end();
    }

 private:
    void add(std::string_view text) {
        if (!open_ && separator_ == "\n\n") text.remove_prefix(std::min(text.find_first_not_of('\n'), text.size()));
        open_ = open_ || !text.empty();
        out_.add(text);
    }
    void end() {
        if (open_) out_.end();
        open_ = false;
    }
    PartEmitter& out_;
    std::string separator_, buffer_;
    bool open_ = false;
};

std::string label_text(const nlohmann::json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

class JsonLinesReader : public MemberReader {
 public:
    JsonLinesReader(PartEmitter& out, const DataConfig& config, std::string where)
        : out_(out),
          field_(config.field),
          label_(config.label),
          where_(std::move(where)) {}
    void feed(std::string_view bytes) override {
        while (!bytes.empty()) {
            const size_t end = bytes.find('\n');
            line_ += bytes.substr(0, end);
            if (line_.size() > kLongestLine) bad("it is longer than " + format_bytes(double(kLongestLine)));
            if (end == std::string_view::npos) return;
            take();
            bytes.remove_prefix(end + 1);
        }
    }
    void finish() override { take(); }

 private:
    [[noreturn]] void bad(const std::string& what) const {
        fail_file("line " + std::to_string(number_ + 1) + " (byte " + std::to_string(offset_) + "): " + what, where_,
                  "one JSON object per line is expected, with the text in the field \"" + field_ + "\" (data.field)");
    }
    void take() {
        if (line_.find_first_not_of(" \t\r") != std::string::npos) read();
        offset_ += line_.size() + 1;
        ++number_;
        line_.clear();
    }
    void read() {
        std::string fault;
        const auto parsed = try_parse_json<nlohmann::json>(line_, &fault);
        if (!parsed) bad(fault);
        const nlohmann::json& json = *parsed;
        if (!json.is_object()) bad("it is no JSON object");
        const auto text = json.find(field_);
        if (text == json.end()) bad("the field \"" + field_ + "\" is missing; it has " + names_of(json));
        if (text->is_null()) return;
        if (!text->is_string()) bad("the field \"" + field_ + "\" is no text");
        std::string label;
        if (!label_.empty()) {
            const auto found = json.find(label_);
            if (found == json.end()) bad("the field \"" + label_ + "\" (data.label) is missing");
            label = label_text(*found);
        }
        const auto& content = text->get_ref<const std::string&>();
        if (content.empty()) return;
        out_.add(content, label);
        out_.end();
    }
    static std::string names_of(const nlohmann::json& json) {
        std::vector<std::string> names;
        for (const auto& [name, value] : json.items())
            if (names.size() < 8) names.push_back("\"" + printable(name) + "\"");
        return names.empty() ? "none" : join(names, ", ");
    }
    PartEmitter& out_;
    std::string field_, label_, where_, line_;
    uint64_t number_ = 0, offset_ = 0;
};

// The first row names the columns; data.field is a name, or a number from 1 for files without such a row.
class CsvReader : public MemberReader {
 public:
    CsvReader(PartEmitter& out, const DataConfig& config, char delimiter, const std::string& where)
        : out_(out),
          field_(config.field),
          label_(config.label),
          where_(where),
          parser_(delimiter, where, [this](std::vector<std::string>& fields) { take(fields); }) {}
    void feed(std::string_view bytes) override { parser_.feed(bytes); }
    void finish() override { parser_.finish(); }

 private:
    static bool is_number(const std::string& text) {
        return !text.empty() && text.size() < 6 &&
               std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
    }
    size_t column_of(const std::string& name, const std::vector<std::string>& header) const {
        if (is_number(name)) return size_t(std::max(1, std::stoi(name))) - 1;
        const auto found = std::find(header.begin(), header.end(), name);
        if (found == header.end())
            fail_file("no column \"" + name + "\"; the first row has: " + printable(join(header, ", ").substr(0, 200)),
                      where_, "set data.field to one of them, or to a number from 1 where there is no such row");
        return size_t(found - header.begin());
    }
    void take(std::vector<std::string>& fields) {
        ++row_;
        if (row_ == 1) {
            column_ = column_of(field_, fields);
            if (!label_.empty()) label_column_ = column_of(label_, fields);
            if (!is_number(field_)) return;
        }
        const size_t needed = std::max(column_, label_.empty() ? 0 : label_column_);
        if (fields.size() <= needed)
            fail_file("row " + std::to_string(row_) + " has " + std::to_string(fields.size()) +
                          " fields, expected at least " + std::to_string(needed + 1),
                      where_);
        if (fields[column_].empty()) return;
        out_.add(fields[column_], label_.empty() ? std::string_view() : fields[label_column_]);
        out_.end();
    }
    PartEmitter& out_;
    std::string field_, label_, where_;
    CsvParser parser_;
    size_t column_ = 0, label_column_ = 0;
    uint64_t row_ = 0;
};

std::unique_ptr<MemberReader> make_reader(const DataConfig& config, const std::string& name, const std::string& where,
                                          PartEmitter& out) {
    const std::string format = format_of(config.format, name);
    if (format == "jsonl") return std::make_unique<JsonLinesReader>(out, config, where);
    if (format == "csv") return std::make_unique<CsvReader>(out, config, ',', where);
    if (format == "tsv") return std::make_unique<CsvReader>(out, config, '\t', where);
    if (!config.label.empty())
        fail_usage("plain text has no field \"" + config.label + "\" to take labels from: " + where, "data.label",
                   "use JSON lines, CSV or TSV");
    return std::make_unique<TextReader>(out, separator_of(config.documents));
}

void read_input(const DataConfig& config, const Input& input, PartEmitter& out) {
    PackedFile file(input.path, config.max_expansion);
    const bool archive = PackedFile::kind_of(input.path) == PackedKind::archive;
    std::string buffer(kRead, '\0');
    while (file.next()) {
        const bool member = archive || file.name() != std::string_view(input.path).substr(input.path.rfind('/') + 1);
        if (member && !passes(file.name(), config.include, config.exclude)) continue;
        auto reader =
            make_reader(config, file.name(), member ? input.path + ", member " + file.name() : input.path, out);
        while (const uint64_t count = file.read(buffer.data(), kRead)) {
            if (stop_requested())
                fail({.code = ExitCode::stopped, .what = "stopped while reading data", .where = input.path});
            out.input_bytes += count;
            reader->feed(std::string_view(buffer.data(), count));
        }
        reader->finish();
    }
    out.statistics.skipped_members += file.skipped();
}

}  // namespace

bool files_are_documents(const DataConfig& config, const std::vector<Input>& inputs) {
    return config.documents == "file" && config.parallel.empty() &&
           std::all_of(inputs.begin(), inputs.end(), [&](const Input& input) {
               return PackedFile::kind_of(input.path) == PackedKind::plain &&
                      format_of(config.format, input.path) == "text";
           });
}

DocumentStatistics read_documents(const DataConfig& config, const std::vector<Input>& inputs,
                                  const std::function<void(const DocumentPart&)>& use, std::vector<uint64_t> cuts,
                                  bool exact) {
    PartEmitter out(use, std::move(cuts), exact);
    for (const Input& input : inputs) {
        out.split = input.split;
        if (config.parallel.empty()) read_input(config, input, out);
        else read_pairs(config, input, out);
    }
    return out.statistics;
}

}  // namespace lithe
