#include "lithe/data/documents.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "lithe/base/error.h"
#include "lithe/base/json.h"
#include "lithe/base/text.h"
#include "lithe/data/list_files.h"
#include "lithe/data/parallel_text.h"
#include "lithe/data/text_decoder.h"
#include "lithe/data/text_reader.h"
#include "lithe/formats/csv.h"
#include "lithe/formats/packed.h"

namespace lithe {
namespace {

constexpr size_t kRead = 1 << 20;
constexpr size_t kLongestLine = size_t(1) << 29;  // of JSON

bool ends_with(const std::string& name, std::initializer_list<const char*> suffixes) {
    return std::any_of(suffixes.begin(), suffixes.end(), [&](const char* suffix) { return name.ends_with(suffix); });
}

// What a name tells of a format.
struct NamedFormat {
    std::optional<TextFormat> known;
    bool json = false;  // of one kind or another
};
NamedFormat format_in_name(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    for (const char* packed : {".gz", ".xz", ".zst", ".bz2"})
        if (name.ends_with(packed)) name.resize(name.size() - std::string_view(packed).size());
    if (ends_with(name, {".jsonl", ".ndjson"})) return {TextFormat::jsonl};
    if (ends_with(name, {".csv"})) return {TextFormat::csv};
    if (ends_with(name, {".tsv"})) return {TextFormat::tsv};
    return {.json = name.ends_with(".json")};
}

// A file or a member of an archive, and how it begins.
struct Member {
    std::string name, where;
    bool named = false;     // by the user
    std::string_view head;  // in UTF-8, as much as is read at once
    bool whole = false;     // that is all of it
};

// JSON lines under any name: the first line is an object with the field of the text, or the first two are objects and
// that is what the user named.
bool holds_json_lines(const Member& member, const std::string& field, bool expected) {
    int objects = 0;
    for (std::string_view rest = member.head; !rest.empty();) {
        const size_t end = rest.find('\n');
        if (end == std::string_view::npos && !member.whole) return false;
        const std::string_view line = trimmed(rest.substr(0, end));
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
        if (line.empty()) continue;
        if (line.front() != '{') return false;
        const auto json = try_parse_json<nlohmann::json>(line);
        if (!json || !json->is_object()) return false;
        if (const auto text = json->find(field); text != json->end() && (text->is_string() || text->is_null()))
            return true;
        if (++objects == 2) return expected;
    }
    return false;
}

TextFormat format_of(const DataConfig& config, const Member& member) {
    if (config.format != TextFormat::automatic) return config.format;
    const NamedFormat format = format_in_name(member.name);
    if (format.known) return *format.known;
    if (holds_json_lines(member, config.field, member.named || format.json)) return TextFormat::jsonl;
    const std::string_view text = trimmed(member.head.substr(0, 4096));
    if (format.json && member.named && text.starts_with("[") && trimmed(text.substr(1)).starts_with("{"))
        fail_file("the file is one JSON list; JSON lines are expected, one object per line", member.where,
                  "jq -c '.[]' makes them of it; data.format = \"text\" takes it as it stands");
    const bool has_field = text.find("\"" + config.field + "\"") != std::string_view::npos;
    if (format.json && member.named && text.starts_with("{") && has_field)
        fail_file("the file is JSON over several lines; JSON lines are expected, one object per line", member.where,
                  "jq -c . makes one line of it; data.format = \"text\" takes it as it stands");
    return TextFormat::text;
}

std::string label_text(const nlohmann::json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

// Records without text: they are no documents, which is said.
class EmptyRecords {
 public:
    EmptyRecords(PartEmitter& out, std::string name) : out_(out), name_(std::move(name)) {}
    void add() { ++count_; }
    void tell(const std::string& record, const std::string& why) {
        if (count_ == 0) return;
        out_.statistics.left_out.add(std::to_string(count_) + " " + record + (count_ == 1 ? "" : "s") + " of " + name_,
                                     why);
    }

 private:
    PartEmitter& out_;
    std::string name_;
    uint64_t count_ = 0;
};

class JsonLinesReader : public MemberReader {
 public:
    JsonLinesReader(PartEmitter& out, const DataConfig& config, const Member& member)
        : out_(out),
          field_(config.field),
          second_(config.second),
          label_(config.label),
          where_(member.where),
          empty_(out, member.name) {}
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
    void finish() override {
        take();
        empty_.tell("record",
                    "\"" + field_ + "\"" + (second_.empty() ? "" : " or \"" + second_ + "\"") + " is null or empty");
    }

 private:
    [[noreturn]] void bad(const std::string& what) const {
        fail_file("line " + std::to_string(number_ + 1) + " (byte " + std::to_string(offset_) + "): " + what, where_,
                  "one JSON object per line is expected, with the text in the field \"" + field_ +
                      "\" (data.field); data.format = \"text\" takes the file as it stands");
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
        const std::string text = text_in(json, field_);
        const std::string second = second_.empty() ? std::string() : text_in(json, second_);
        std::string label;
        if (!label_.empty()) {
            const auto found = json.find(label_);
            if (found == json.end()) bad("the field \"" + label_ + "\" (data.label) is missing");
            if (found->is_structured()) bad("the label \"" + label_ + "\" is no text, number or boolean");
            label = found->is_null() ? std::string() : std::string(trimmed(label_text(*found)));
            if (label.empty()) bad("the label \"" + label_ + "\" is null or empty");
        }
        if (text.empty() || (!second_.empty() && second.empty())) return empty_.add();
        out_.add_record(text, second, label);
    }
    // Null is an empty text.
    std::string text_in(const nlohmann::json& json, const std::string& field) const {
        const auto text = json.find(field);
        if (text == json.end()) bad("the field \"" + field + "\" is missing; it has " + names_of(json));
        if (text->is_null()) return "";
        if (!text->is_string()) bad("the field \"" + field + "\" is no text");
        return text->get<std::string>();
    }
    static std::string names_of(const nlohmann::json& json) {
        std::vector<std::string> names;
        for (const auto& [name, value] : json.items())
            if (names.size() < 8) names.push_back("\"" + printable(name) + "\"");
        return names.empty() ? "none" : join(names, ", ");
    }
    PartEmitter& out_;
    std::string field_, second_, label_, where_, line_;
    EmptyRecords empty_;
    uint64_t number_ = 0, offset_ = 0;
};

// The first row names the columns; data.field is a name, or a number from 1 for files without such a row. A number that
// the first row has as a name is one where the row below it holds no number there: a column of classes does.
class CsvReader : public MemberReader {
 public:
    CsvReader(PartEmitter& out, const DataConfig& config, char delimiter, const Member& member)
        : out_(out),
          field_(config.field),
          second_(config.second),
          label_(config.label),
          where_(member.where),
          empty_(out, member.name),
          parser_(delimiter, member.where, [this](std::vector<std::string>& fields) { take(fields); }) {}
    void feed(std::string_view bytes) override { parser_.feed(bytes); }
    void finish() override {
        parser_.finish();
        if (row_ == 1) begin({});
        empty_.tell("row", "the field is empty");
    }

 private:
    struct Column {
        size_t number = 0;
        bool named = false;
    };
    static bool is_position(const std::string& text) {
        return !text.empty() && text.size() < 6 && text.find_first_not_of("0123456789") == std::string::npos;
    }
    // `setting`: which names it.
    Column find(const std::string& name, const std::vector<std::string>& second, const std::string& setting) const {
        const size_t found = size_t(std::find(first_.begin(), first_.end(), name) - first_.begin());
        const bool there = found < first_.size();
        if (is_position(name)) {
            const int number = std::stoi(name);
            const size_t position = size_t(std::max(1, number)) - 1;
            const bool named =
                there && (position >= first_.size() || (found < second.size() && !parse_number(second[found])));
            if (number == 0 && !named)
                fail_file("there is no column 0", where_,
                          "columns are counted from 1: " + setting + " = \"1\" is the first");
            return {named ? found : position, named};
        }
        if (!there)
            fail_file("no column \"" + printable(name) +
                          "\"; the first row has: " + printable(join(first_, ", ").substr(0, 200)),
                      where_, setting + " names one of them, or a number from 1 where there is no such row");
        return {found, true};
    }
    // Once it is known what the first row is.
    void begin(const std::vector<std::string>& second) {
        text_ = find(field_, second, "data.field");
        if (!second_.empty()) other_ = find(second_, second, "data.second");
        if (!label_.empty()) kind_ = find(label_, second, "data.label");
        if (!text_.named && !other_.named && !kind_.named) use(1, first_);
    }
    void take(std::vector<std::string>& fields) {
        if (++row_ == 1) {
            first_ = fields;
            return;
        }
        if (row_ == 2) begin(fields);
        use(row_, fields);
    }
    void use(uint64_t row, const std::vector<std::string>& fields) {
        const size_t needed = std::max({text_.number, other_.number, kind_.number});
        if (fields.size() <= needed)
            fail_file("row " + std::to_string(row) + " has " + std::to_string(fields.size()) +
                          " fields, expected at least " + std::to_string(needed + 1),
                      where_);
        const std::string_view label = label_.empty() ? std::string_view() : trimmed(fields[kind_.number]);
        if (!label_.empty() && label.empty())
            fail_file("row " + std::to_string(row) + " has no label: its field \"" + printable(label_) + "\" is empty",
                      where_, "data.label names the column of labels");
        const std::string& text = fields[text_.number];
        const std::string second = second_.empty() ? std::string() : fields[other_.number];
        if (text.empty() || (!second_.empty() && second.empty())) return empty_.add();
        out_.add_record(text, second, label);
    }
    PartEmitter& out_;
    std::string field_, second_, label_, where_;
    EmptyRecords empty_;
    CsvParser parser_;
    std::vector<std::string> first_;
    Column text_, other_, kind_;  // number 0 where there is none
    uint64_t row_ = 0;
};

std::unique_ptr<MemberReader> make_reader(const DataConfig& config, const Member& member, PartEmitter& out) {
    switch (format_of(config, member)) {
        case TextFormat::jsonl: return std::make_unique<JsonLinesReader>(out, config, member);
        case TextFormat::csv: return std::make_unique<CsvReader>(out, config, ',', member);
        case TextFormat::tsv: return std::make_unique<CsvReader>(out, config, '\t', member);
        case TextFormat::automatic:
        case TextFormat::text: break;
    }
    for (const auto& [field, what] : {std::pair(config.label, "label"), std::pair(config.second, "second")})
        if (!field.empty())
            fail_usage("plain text has no field \"" + field + "\": " + member.where, std::string("data.") + what,
                       "use JSON lines, CSV or TSV; data.format says so where the name does not");
    return std::make_unique<TextReader>(out, config.documents, member.head);
}

// As data.format = "text" has it: the bytes as they stand, but for a mark of UTF-8.
Content as_it_stands(std::string_view head) {
    Content content = content_of(head);
    if (content.kind != ContentKind::text) content = {};
    return content;
}

void read_member(const DataConfig& config, PackedFile& file, Member member, PartEmitter& out) {
    std::string bytes = file.read_full(kRead);
    if (file.is_archive() && PackedFile::kind_of_bytes(bytes) == PackedKind::compressed) {
        PackedFile inner(file, std::move(bytes), config.max_expansion);
        if (inner.next()) read_member(config, inner, std::move(member), out);
        return;
    }
    const Content content = config.format == TextFormat::text ? as_it_stands(bytes) : content_of(bytes);
    if (content.kind == ContentKind::binary || content.kind == ContentKind::packed) {
        if (member.named)
            fail_file("what is packed in the file is no text: " + content.name, member.where,
                      "data.format = \"text\" takes its bytes as they stand");
        return out.statistics.left_out.add(file.name(), content.name);
    }
    TextDecoder decoder(content);
    const std::string head(decoder.decode(bytes));
    member.head = head;
    member.whole = bytes.size() < kRead;
    const auto reader = make_reader(config, member, out);
    for (std::string_view text = head; !bytes.empty(); text = decoder.decode(bytes = file.read_full(kRead))) {
        out.check_stop(member.where);
        out.input_bytes += bytes.size();
        reader->feed(text);
    }
    reader->feed(decoder.finish());
    reader->finish();
}

void read_input(const DataConfig& config, const Input& input, PartEmitter& out) {
    const NamedBy members = out.options().members;
    PackedFile file(input.path, config.max_expansion);
    for (;;) {
        const bool more = file.next();
        for (const std::string& name : file.skipped()) out.statistics.left_out.add(name, "a link or device");
        if (!more) break;
        if (!file.is_archive()) {
            read_member(config, file, {file.name(), input.path, input.named, {}, false}, out);
            continue;
        }
        const std::string& name = file.name();
        if (!passes(name, config.include, config.exclude)) continue;
        if (is_hidden(name, config.include)) {
            out.statistics.left_out.add(name, "hidden");
            continue;
        }
        if (members != NamedBy::nothing) out.split = split_in_name(name, members);
        if (members != NamedBy::nothing && out.split < 0) {
            out.statistics.left_out.add(name, kUnnamed);
            continue;
        }
        const uint64_t before = out.input_bytes;
        read_member(config, file, {name, input.path + ", member " + name, false, {}, false}, out);
        if (out.input_bytes > before) out.statistics.members.push_back({name, out.input_bytes - before});
    }
}

// The format of a plain file before it is read.
TextFormat format_of_file(const DataConfig& config, const Input& input) {
    PackedFile file(input.path);
    file.next();
    const std::string bytes = file.read_full(kRead);
    const std::string_view head = std::string_view(bytes).substr(mark_of_file(input.path));
    return format_of(config, {input.path, input.path, input.named, head, bytes.size() < kRead});
}

}  // namespace

bool files_are_documents(const DataConfig& config, const std::vector<Input>& inputs) {
    return config.documents == "file" && !has_pairs(config) && config.label.empty() &&
           std::all_of(inputs.begin(), inputs.end(), [&](const Input& input) {
               return PackedFile::kind_of(input.path) == PackedKind::plain &&
                      (config.format == TextFormat::text || (content_of_file(input.path).kind == ContentKind::text &&
                                                             format_of_file(config, input) == TextFormat::text));
           });
}

DocumentStatistics read_documents(const DataConfig& config, const std::vector<Input>& inputs,
                                  const std::function<void(const DocumentPart&)>& use, ReadOptions options) {
    PartEmitter out(use, std::move(options));
    for (const Input& input : inputs) {
        out.split = input.split;
        if (config.parallel.empty()) read_input(config, input, out);
        else read_pairs(config, input, out);
    }
    return out.statistics;
}

}  // namespace lithe
