// How texts for people name what can be chosen. A user of the library has options as members of structs and settings as
// lines of a configuration; who runs the program has both as flags, and says so once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lithe {

// What stands before and between names; as the library has it: "run", "train.max_seconds=60",
// "lithe eval RUN with data TEXT, field body".
struct Wording {
    const char* option = "";
    const char* setting = "";
    const char* any_setting = "a given setting";
    bool budget_options = false;  // budgets of training have options of their own
    const char* first_choice = " with ";
    const char* next_choice = ", ";
};

// For the whole process; to be called before any other thread is started. `wording` must live as long as the process.
void set_wording(const Wording& wording);

// An option of an operation, alone or with a value: "run", "out DIR".
std::string option(std::string_view name, std::string_view value = "");
// A setting of the configuration: "train.max_seconds=60".
std::string setting(std::string_view assignment);
// What bounds a training in "steps", "tokens" or "time": "train.max_steps".
std::string budget(std::string_view axis);
// Where settings come from that stand in no file: "a given setting".
std::string any_setting();
// A command of the program, and what is chosen with it: command("data prepare -", {option("out", "DIR")}).
std::string command(std::string_view words, const std::vector<std::string>& choices);

}  // namespace lithe
