#include <iostream>

#include "lithe/base/file.h"
#include "lithe/base/log.h"
#include "lithe/base/text.h"
#include "lithe/cli/data.h"
#include "lithe/cli/signals.h"
#include "lithe/data/datasets.h"

namespace lithe {
namespace {

struct Flags {
    std::string name, output;
    std::vector<std::string> mirrors;
    DownloadOptions options;
};

int list(const CommandContext& context) {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const Dataset& dataset : datasets()) {
        if (!context.json)
            std::cout << dataset.name << "\n    " << dataset.description << "\n    terms: " << dataset.license << "\n";
        nlohmann::ordered_json files = nlohmann::ordered_json::array();
        for (const RemoteFile& file : dataset.files)
            files.push_back({{"name", file.name}, {"urls", file.urls}, {"bytes", file.size}, {"digest", file.digest}});
        all.push_back({{"name", dataset.name},
                       {"description", dataset.description},
                       {"license", dataset.license},
                       {"files", files}});
    }
    if (context.json) print_json("data.get", {{"datasets", all}});
    std::cout << std::flush;
    return 0;
}

// Settings as words for a shell.
std::string set_flags(const std::vector<std::string>& settings) {
    std::vector<std::string> flags;
    for (const std::string& each : settings) flags.push_back("--set " + shell_quoted(each));
    return join(flags, " ");
}

int get(Flags flags, const CommandContext& context) {
    if (flags.name.empty()) return list(context);
    const Dataset& dataset = find_dataset(flags.name);
    const std::string folder = flags.output.empty() ? "data/" + dataset.name : flags.output;
    flags.options.stop = stop_by_signal();
    const auto names = install_dataset(dataset, folder, flags.mirrors, flags.options);
    nlohmann::ordered_json files = nlohmann::ordered_json::object();
    for (const std::string& name : names) files[name] = std::filesystem::file_size(folder + "/" + name);
    log_info("terms      " + dataset.license);
    log_info("use        lithe train CONFIG " + set_flags(settings_for(dataset, folder)));
    return print_data("data.get",
                      {{"name", dataset.name}, {"folder", folder}, {"files", files}, {"license", dataset.license}},
                      context);
}

}  // namespace

CommandAction set_up_data_get(CLI::App& app, const CommandContext& context) {
    auto flags = std::make_shared<Flags>();
    app.add_option("name", flags->name, "data set; without it, all are listed");
    app.add_option("--out", flags->output, "folder; default data/NAME");
    app.add_option("--mirror", flags->mirrors,
                   "try this URL first: of the file, or of a folder that holds it (repeatable)");
    app.add_option("--stall", flags->options.stall_seconds,
                   "seconds without a byte after which a transfer is tried again")
        ->capture_default_str()
        ->check(number_between(1.0, 3600.0));
    app.add_option("--tries", flags->options.tries, "tries for each URL")
        ->capture_default_str()
        ->check(CLI::Range(1, 1000));
    return [flags, &context] { return get(*flags, context); };
}

}  // namespace lithe
