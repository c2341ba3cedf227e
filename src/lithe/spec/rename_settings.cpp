#include "lithe/spec/rename_settings.h"

#include <optional>
#include <string>

#include "lithe/spec/migrations.h"

namespace lithe {
namespace {

struct Place {
    toml::table* table = nullptr;  // null: there is none
    std::string name;
    toml::node* value() const { return table ? table->get(name) : nullptr; }
};

// `make`: with the tables on the way.
Place place_of(toml::table& root, const std::string& path, bool make) {
    toml::table* table = &root;
    size_t begin = 0;
    for (size_t dot; table && (dot = path.find('.', begin)) != std::string::npos; begin = dot + 1) {
        const std::string name = path.substr(begin, dot - begin);
        if (make) table->insert(name, toml::table{});
        table = (*table)[name].as_table();
    }
    return {table, path.substr(begin)};
}

void move_setting(toml::table& root, const std::string& before, const std::string& now) {
    const Place from = place_of(root, before, false);
    toml::node* value = from.value();
    if (!value || value->is_table()) return;  // a table of today may have the former name
    const Place to = place_of(root, now, true);
    if (!to.table || to.value()) return;
    to.table->insert(to.name, std::move(*value));
    from.table->erase(from.name);
}

// What said until version 3 which n-grams there are.
struct Ngrams {
    int64_t longest = 0;
    std::string list = "all";
};

// The two settings of a table as one; what it does not say is as `given`. Returns what then holds in it.
Ngrams join_ngrams(toml::table& root, const std::string& stack, Ngrams given, Problems& problems) {
    const Place longest = place_of(root, stack + ".ngrams", false),
                list = place_of(root, stack + ".ngram_lengths", false);
    const bool has_longest = longest.value() && longest.value()->is_integer(),
               has_list = list.value() && list.value()->is_string();
    if (!has_longest && !has_list) return given;
    if (has_longest) given.longest = *longest.value()->value<int64_t>();
    if (has_list) given.list = *list.value()->value<std::string>();
    std::string lengths;
    try {
        lengths = ngram_lengths_until_3(given.list, given.longest);
    } catch (const Error& error) { problems.add(error.what(), stack); }
    if (has_longest) longest.table->erase(longest.name);
    if (has_list) list.table->erase(list.name);
    if (const Place now = place_of(root, stack + ".ngrams.lengths", true); now.table && !now.value())
        now.table->insert(now.name, lengths);
    return given;
}

// An encoder looks nothing up unless it says so.
void join_ngrams(toml::table& root, Problems& problems) {
    const Ngrams model = join_ngrams(root, "model", {}, problems);
    join_ngrams(root, "model.decoder", model, problems);
    join_ngrams(root, "model.encoder", {.list = model.list}, problems);
}

}  // namespace

void rename_settings(toml::table& root, int64_t version, Problems& problems) {
    if (version <= 3) join_ngrams(root, problems);
    for (const RenamedSetting& each : renamed_settings()) {
        const auto before = in_every_stack(each.before), now = in_every_stack(each.now);
        for (size_t i = 0; version <= each.until && i < before.size(); ++i) move_setting(root, before[i], now[i]);
    }
    for (const RenamedValue& each : renamed_values())
        for (const std::string& path : in_every_stack(each.setting)) {
            const Place place = place_of(root, path, false);
            const toml::node* value = version <= each.until ? place.value() : nullptr;
            if (value && value->value<std::string>() == each.before)
                place.table->insert_or_assign(place.name, each.now);
        }
}

}  // namespace lithe
