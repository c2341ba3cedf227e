#include "lithe/data/list_files.h"

#include <fnmatch.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "lithe/base/error.h"
#include "lithe/data/own_folders.h"

namespace lithe {
namespace fs = std::filesystem;
namespace {

bool is_hidden_part(const std::string& part) {
    if (part == "." || part == "..") return false;  // of members of archives, as "./a.txt"
    return part.starts_with('.') || part == "__MACOSX" || part == "Thumbs.db" || part == "desktop.ini";
}

bool names_hidden(const std::vector<std::string>& include) {
    return std::any_of(include.begin(), include.end(), [](const std::string& pattern) {
        return pattern.starts_with('.') || pattern.find("/.") != std::string::npos;
    });
}

class Walk {
 public:
    Walk(const std::string& root, const std::vector<std::string>& include, const std::vector<std::string>& exclude)
        : include_(include),
          exclude_(exclude) {
        std::error_code error;
        const fs::path real = fs::canonical(root, error);
        if (error) fail_file("cannot list the folder: " + error.message(), root);
        folder(root, "", real);
        // links come after what they may lead to
        for (size_t i = 0; i < links_.size(); ++i) follow(Link(links_[i]));
    }
    FileList result() {
        for (auto& [real, file] : files_) list_.files.push_back(std::move(file));
        std::sort(list_.files.begin(), list_.files.end(),
                  [](const FoundFile& a, const FoundFile& b) { return a.path < b.path; });
        return std::move(list_);
    }

 private:
    struct Link {
        fs::path path;
        std::string name;
    };

    void folder(const fs::path& path, const std::string& prefix, const fs::path& real) {
        if (!folders_.insert(real.string()).second) return;
        if (!prefix.empty())
            if (const auto own = own_folder(path.string()))
                return list_.own.add(prefix.substr(0, prefix.size() - 1), own->name);
        std::error_code error;
        std::vector<fs::directory_entry> entries;
        for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error))
            entries.push_back(*it);
        if (error && prefix.empty()) fail_file("cannot list the folder: " + error.message(), path.string());
        if (error) list_.left_out.add(prefix, "cannot be listed: " + error.message());
        std::sort(entries.begin(), entries.end());
        for (const auto& entry : entries) {
            const std::string last = entry.path().filename().string(), name = prefix + last;
            if (last == kSourceRecord) continue;
            if (is_hidden(last, include_)) {
                list_.left_out.add(name, "hidden");
                continue;
            }
            const fs::file_status status = entry.symlink_status(error);
            if (fs::is_symlink(status)) links_.push_back({entry.path(), name});
            else if (fs::is_directory(status)) folder(entry.path(), name + "/", real / last);
            else if (fs::is_regular_file(status)) file(entry.path(), name, real / last);
            else list_.left_out.add(name, "no file");
        }
    }

    void follow(const Link& link) {
        std::error_code error;
        const fs::path real = fs::canonical(link.path, error);
        if (error) return list_.left_out.add(link.name, "a link to nothing");
        const fs::file_status status = fs::status(real, error);
        if (fs::is_directory(status)) folder(link.path, link.name + "/", real);
        else if (fs::is_regular_file(status)) file(link.path, link.name, real);
        else list_.left_out.add(link.name, "no file");
    }

    void file(const fs::path& path, const std::string& name, const fs::path& real) {
        if (!passes(name, include_, exclude_)) return;
        std::error_code error;
        const uint64_t size = fs::file_size(path, error);
        const auto [place, added] = files_.try_emplace(real.string(), FoundFile{path.string(), name, error ? 0 : size});
        FoundFile& known = place->second;
        if (!added && path.has_extension() && !fs::path(known.path).has_extension())
            known = {path.string(), name, known.size};
    }

    const std::vector<std::string>&include_, &exclude_;
    FileList list_;
    std::map<std::string, FoundFile> files_;  // by real path
    std::set<std::string> folders_;           // real paths
    std::vector<Link> links_;
};

}  // namespace

bool passes(const std::string& name, const std::vector<std::string>& include, const std::vector<std::string>& exclude) {
    auto matches = [&](const std::vector<std::string>& patterns) {
        return std::any_of(patterns.begin(), patterns.end(),
                           [&](const std::string& pattern) { return fnmatch(pattern.c_str(), name.c_str(), 0) == 0; });
    };
    return (include.empty() || matches(include)) && !matches(exclude);
}

bool is_hidden(const std::string& name, const std::vector<std::string>& include) {
    for (const fs::path& part : fs::path(name))
        if (is_hidden_part(part.string())) return !names_hidden(include);
    return false;
}

FileList list_files(const std::string& folder, const std::vector<std::string>& include,
                    const std::vector<std::string>& exclude) {
    return Walk(folder, include, exclude).result();
}

}  // namespace lithe
