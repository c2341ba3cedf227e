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

#include "lithe/base/error.h"
#include "lithe/base/file.h"
#include "lithe/base/json.h"
#include "lithe/base/text.h"
#include "lithe/base/wording.h"
#include "lithe/data/input.h"
#include "lithe/data/list_files.h"
#include "lithe/formats/packed.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

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

// Titles and descriptions are text too; other elements are not.
void write_tagged(const std::string& text, const std::string& extension, Outputs& out) {
    uint64_t number = 0;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line = trimmed(std::string_view(text).substr(at, end - at));
        at = end + 1;
        for (const char* tag : {"title", "description"}) {
            const std::string open = std::string("<") + tag + ">", close = std::string("</") + tag + ">";
            if (line.starts_with(open) && line.ends_with(close))
                line = trimmed(line.substr(open.size(), line.size() - open.size() - close.size()));
        }
        if (line.starts_with("<")) continue;
        FileWriter& file = out.at((++number % 23 == 0 ? "valid" : "train") + extension);
        file.write(line);
        file.write("\n");
    }
}

void write_segments(const std::string& text, const std::string& output, Outputs& out) {
    for (size_t at = 0; (at = text.find("<seg", at)) != std::string::npos;) {
        const size_t begin = text.find('>', at), end = text.find("</seg>", at);
        if (begin == std::string::npos || end == std::string::npos || end < begin) return;
        out.at(output).write(trimmed(std::string_view(text).substr(begin + 1, end - begin - 1)));
        out.at(output).write("\n");
        at = end;
    }
}

void unpack(const DatasetPart& part, const std::string& path, const std::stop_token& stop, Outputs& out) {
    PackedFile file(path);
    std::string buffer(1 << 20, '\0'), text;
    bool found = false;
    while (file.next()) {
        if (fnmatch(part.members.c_str(), file.name().c_str(), 0) != 0) continue;
        found = true;
        text.clear();
        Digest digest(part.digest);
        while (const uint64_t count = file.read(buffer.data(), buffer.size())) {
            if (stop.stop_requested())
                fail({.kind = ErrorKind::stopped, .what = "stopped while unpacking; start it again", .where = path});
            digest.add({buffer.data(), size_t(count)});
            if (part.step == Step::append) out.at(part.output).write(buffer.data(), count);
            else text.append(buffer, 0, count);
        }
        if (const std::string got = digest.value(); got != part.digest)
            fail({.kind = ErrorKind::bad_file,
                  .what = "the text is not the expected one",
                  .where = path + ", member " + file.name(),
                  .expected = part.digest,
                  .got = got,
                  .hint = "remove the file, and it is downloaded again; or name another source with " +
                          option("mirror", "URL")});
        if (part.step == Step::bytes) write_by_bytes(text, part.shares, out);
        if (part.step == Step::tagged) write_tagged(text, part.output, out);
        if (part.step == Step::segments) write_segments(text, part.output, out);
    }
    if (!found)
        fail_file("the archive holds no member like " + part.members, path,
                  "the file is another version of the data set");
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
        if (part.step == Step::append || part.step == Step::segments) names.insert(part.output);
        else
            for (const char* split : kSplitNames)
                names.insert(split + (part.step == Step::tagged ? part.output : std::string(".txt")));
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
    const std::string mark = "DIR";
    std::vector<std::string> settings = dataset.settings;
    for (std::string& each : settings)
        if (const size_t at = each.find(mark); at != std::string::npos) each.replace(at, mark.size(), folder);
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
