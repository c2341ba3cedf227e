// Splits that the names of files or folders say: "wiki.train.tokens", "test/a.txt". They win over any other rule by
// bytes: what is named test is never trained on.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace lithe {

inline constexpr const char* kSplitNames[3] = {"train", "valid", "test"};

// Which names count: none, those of folders before those of files, or those of files before those of folders.
enum class NamedBy { nothing, folders, files };

struct NamedFile {
    std::string name;  // relative, with '/'
    uint64_t size = 0;
};

// Names count when some say train and some say valid or test, and those that say neither are not most of the text (a
// folder of programs may hold a train.py and a test.py).
NamedBy splits_in_names(const std::vector<NamedFile>& files);
// Whether names say splits and do not count, for those that say none are most of the text.
bool names_passed_over(const std::vector<NamedFile>& files);
inline constexpr const char* kNamesPassedOver = "; names that say a split do not count: most of the text has none";
// 0 train, 1 valid (also validation, val, dev), 2 test; -1: the name says nothing. A part of the name counts with its
// number ("train-00001-of-00003.txt", "valid2.txt") and in any case ("Test.txt").
int split_in_name(const std::string& name, NamedBy by);

}  // namespace lithe
