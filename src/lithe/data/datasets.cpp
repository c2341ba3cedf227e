#include "lithe/data/datasets.h"

#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/json.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/data/input.h"
#include "lithe/data/list_files.h"
#include "lithe/data/talk_pairs.h"
#include "lithe/formats/packed.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

// The text with a value in place of the first mark.
std::string with_value(std::string text, std::string_view mark, const std::string& value) {
    if (const size_t at = text.find(mark); at != std::string::npos) text.replace(at, mark.size(), value);
    return text;
}

// The files of a dataset while they are written: under other names until all are whole.
class Outputs {
 public:
    explicit Outputs(std::string folder) : folder_(std::move(folder)) {}
    ~Outputs() {
        for (const auto& [name, writer] : writers_) unlink(temporary(name).c_str());
    }
    FileWriter& at(const std::string& name) {
        auto& writer = writers_[name];
        if (!writer) { writer = std::make_unique<FileWriter>(temporary(name)); }
        return *writer;
    }
    std::vector<std::string> finish() {
        std::vector<std::string> names;
        for (auto& [name, writer] : writers_) {
            writer->close();
            const std::string path = folder_ + "/" + name;
            if (rename(temporary(name).c_str(), path.c_str()) != 0) fail_errno("cannot move the file into place", path);
            names.push_back(name);
        }
        sync_folder(folder_);
        return names;
    }

 private:
    std::string temporary(const std::string& name) const {
        return folder_ + "/" + name + ".tmp-" + std::to_string(getpid());
    }
    std::string folder_;
    std::map<std::string, std::unique_ptr<FileWriter>> writers_;
};

void write_by_bytes(const std::string& text, const std::string& shares, Outputs& out) {
    const auto [valid, test] = split_borders(parse_split(shares).shares, text.size());
    const uint64_t borders[4] = {0, valid, test, text.size()};
    for (size_t i = 0; i < 3; ++i)
        if (borders[i + 1] > borders[i])
            out.at(std::string(kSplitNames[i]) + ".txt")
                .write(std::string_view(text).substr(borders[i], borders[i + 1] - borders[i]));
}

[[noreturn]] void fail_member(const std::string& how_many, const std::string& members, const std::string& path) {
    fail_file("the archive holds " + how_many + " like " + members, path,
              "the file is another version of the data set");
}

// Calls `take` with the rest of a member, piece by piece.
template <class F>
void read_member(PackedFile& file, const std::string& path, const std::stop_token& stop, const F& take) {
    std::string buffer(1 << 20, '\0');
    while (const uint64_t count = file.read(buffer.data(), buffer.size())) {
        if (stop.stop_requested())
            fail({.kind = ErrorKind::stopped, .what = "stopped while unpacking; start it again", .where = path});
        take(std::string_view(buffer.data(), count));
    }
}

// The one member whose name is like this.
std::string text_of_member(const std::string& members, const std::string& path, const std::stop_token& stop) {
    PackedFile file(path);
    std::string text;
    bool found = false;
    while (file.next()) {
        if (fnmatch(members.c_str(), file.name().c_str(), 0) != 0) continue;
        if (std::exchange(found, true)) fail_member("two members", members, path);
        read_member(file, path, stop, [&](std::string_view piece) { text += piece; });
    }
    if (!found) fail_member("no member", members, path);
    return text;
}

bool is_of_pairs(const DatasetPart& part) { return part.step == Step::tagged || part.step == Step::segments; }

void unpack_pairs(const DatasetPart& part, const std::string& path, const std::stop_token& stop, Outputs& out) {
    SideTexts sides{.languages = part.languages, .texts = {}};
    for (size_t side = 0; side < 2; ++side)
        sides.texts[side] = text_of_member(with_value(part.members, "LANG", part.languages[side]), path, stop);
    const std::string where = path + ", members " + part.members;
    const SideLines pairs = part.step == Step::tagged ? tagged_pairs(sides, where) : segment_pairs(sides, where);
    for (size_t side = 0; side < 2; ++side) {
        const std::string end = "." + part.languages[side];
        uint64_t number = 0;
        for (const std::string& line : pairs[side]) {
            const bool is_valid = ++number % 23 == 0;
            out.at((part.step == Step::segments ? part.output : is_valid ? "valid" : "train") + end).write(line + "\n");
        }
    }
}

void unpack(const DatasetPart& part, const std::string& path, const std::stop_token& stop, Outputs& out) {
    if (is_of_pairs(part)) return unpack_pairs(part, path, stop, out);
    PackedFile file(path);
    bool found = false;
    while (file.next()) {
        if (fnmatch(part.members.c_str(), file.name().c_str(), 0) != 0) continue;
        found = true;
        std::string text;
        Digest digest(part.digest);
        read_member(file, path, stop, [&](std::string_view piece) {
            digest.add(piece);
            if (part.step == Step::append) out.at(part.output).write(piece);
            else text += piece;
        });
        if (const std::string got = digest.value(); got != part.digest)
            fail({.kind = ErrorKind::bad_file,
                  .what = "the text is not the expected one",
                  .where = path + ", member " + file.name(),
                  .expected = part.digest,
                  .got = got,
                  .hint = "remove the file, and it is downloaded again; or name another source with " +
                          option("mirror", "URL")});
        if (part.step == Step::bytes) write_by_bytes(text, part.shares, out);
    }
    if (!found) fail_member("no member", part.members, path);
}

RemoteFile with_mirrors(RemoteFile file, const std::vector<std::string>& mirrors) {
    std::vector<std::string> urls;
    for (const std::string& mirror : mirrors)
        urls.push_back(mirror.ends_with("/" + file.name) ? mirror
                                                         : mirror + (mirror.ends_with("/") ? "" : "/") + file.name);
    urls.insert(urls.end(), file.urls.begin(), file.urls.end());
    file.urls = std::move(urls);
    return file;
}

// The names that a data set gives its files.
std::set<std::string> output_names(const Dataset& dataset) {
    std::set<std::string> names;
    for (const DatasetPart& part : dataset.parts) {
        if (part.step == Step::append) names.insert(part.output);
        if (part.step == Step::bytes)
            for (const char* split : kSplitNames) names.insert(std::string(split) + ".txt");
        if (part.step == Step::tagged)
            for (const std::string& language : part.languages) names.insert({"train." + language, "valid." + language});
        if (part.step == Step::segments)
            for (const std::string& language : part.languages) names.insert(part.output + "." + language);
    }
    return names;
}

// SOURCE.json: what the folder holds, from where. It is there from the beginning, without "files" until all is whole:
// that is what makes the folder ours.
class Record {
 public:
    Record(const Dataset& dataset, const std::string& folder) : path_(folder + "/" + kSourceRecord) {
        if (fs::exists(path_)) {
            const Json found = try_parse_json<Json>(read_file(path_, 1 << 20)).value_or(Json());
            if (!found.is_object() || !found.contains("name") || found["name"] != dataset.name)
                fail_usage("the folder holds another data set", folder, "choose another with " + option("out"));
            for (const char* list : {"files", "downloaded"})
                if (found.contains(list) && found[list].is_array()) json_[list] = found[list];
        } else {
            make_folders(folder);
            for (const std::string& name : output_names(dataset))
                if (fs::exists(fs::symlink_status(folder + "/" + name)))
                    fail_usage("the folder holds a file " + name + " that is not of this data set", folder,
                               "choose another with " + option("out"));
        }
        json_["name"] = dataset.name;
        json_["license"] = dataset.license;
        if (files().empty()) save();
    }
    void add(const RemoteFile& file, const std::string& path, bool downloaded) {
        sources_.push_back({{"file", file.name}, {"digest", digest_of(path)}, {"expected", file.digest}});
        if (!downloaded) return;
        json_["downloaded"].push_back(file.name);
        save();
    }
    void finish(const std::vector<std::string>& files) {
        downloaded_ = list("downloaded");
        json_.erase("downloaded");
        json_["sources"] = sources_;
        json_["files"] = files;
        save();
    }
    std::vector<std::string> files() const { return list("files"); }
    const std::vector<std::string>& downloaded() const { return downloaded_; }  // by data get itself, not put there

 private:
    using Json = nlohmann::ordered_json;
    std::vector<std::string> list(const char* name) const {
        std::vector<std::string> names;
        if (json_.contains(name))
            for (const Json& each : json_[name])
                if (each.is_string()) names.push_back(each.get<std::string>());
        return names;
    }
    void save() const { replace_file(path_, json_.dump(1) + "\n"); }
    std::string path_;
    Json json_ = Json::object(), sources_ = Json::array();
    std::vector<std::string> downloaded_;
};

}  // namespace

const Dataset& find_dataset(const std::string& name) {
    std::vector<std::string> names;
    for (const Dataset& dataset : datasets()) {
        if (dataset.name == name) return dataset;
        names.push_back(dataset.name);
    }
    fail_usage("unknown data set '" + printable(name) + "'" + did_you_mean(name, names), "data get",
               "known are: " + join(names, ", "));
}

std::vector<std::string> settings_for(const Dataset& dataset, const std::string& folder) {
    std::vector<std::string> settings = dataset.settings;
    for (std::string& each : settings) each = with_value(each, "DIR", folder);
    return settings;
}

std::vector<std::string> install_dataset(const Dataset& dataset, const std::string& folder,
                                         const std::vector<std::string>& mirrors, DownloadOptions options) {
    Record record(dataset, folder);
    if (!record.files().empty()) return record.files();
    options.folder = folder + "/downloads";
    std::map<std::string, std::string> paths;
    for (const RemoteFile& file : dataset.files) {
        const bool was_there = fs::exists(options.folder + "/" + file.name);
        paths[file.name] = download(with_mirrors(file, mirrors), options);
        record.add(file, paths[file.name], !was_there);
    }
    Outputs out(folder);
    for (const DatasetPart& part : dataset.parts) unpack(part, paths.at(part.file), options.stop, out);
    const auto names = out.finish();
    record.finish(names);
    std::error_code ignored;
    const auto ours = record.downloaded();
    for (const RemoteFile& file : dataset.files)
        if (std::count(ours.begin(), ours.end(), file.name)) fs::remove(options.folder + "/" + file.name, ignored);
    fs::remove(options.folder, ignored);  // unless there is more in it
    return names;
}

}  // namespace lithe
