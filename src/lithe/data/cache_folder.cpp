#include "lithe/data/cache_folder.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "lithe/base/file.h"

namespace lithe {
namespace {

constexpr const char* kHint = "set XDG_CACHE_HOME to a folder of your own";

// The home that the system has for this user, where the environment names none.
std::string home_of_user() {
    const passwd* user = getpwuid(geteuid());
    struct stat status {};
    if (!user || !user->pw_dir || stat(user->pw_dir, &status) != 0 || status.st_uid != geteuid())
        fail(
            {.kind = ErrorKind::failed,
             .what = "there is no place for prepared texts: HOME is not set, and the system knows no home of this user",
             .hint = kHint});
    return user->pw_dir;
}

std::string place() {
    const char* cache = std::getenv("XDG_CACHE_HOME");
    if (cache && *cache) return std::string(cache) + "/lithe";
    const char* home = std::getenv("HOME");
    return (home && *home ? home : home_of_user()) + "/.cache/lithe";
}

}  // namespace

std::string cache_place() {
    try {
        return place();
    } catch (const Error&) { return ""; }
}

std::string cache_folder() {
    const std::string folder = place();
    if (std::filesystem::is_directory(folder)) return folder;
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(folder).parent_path(), error);
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
        fail({.kind = errno == ENOSPC || errno == EDQUOT ? ErrorKind::resources : ErrorKind::failed,
              .what = "cannot make a place for prepared texts",
              .where = folder,
              .got = std::generic_category().message(errno),
              .hint = kHint});
    return folder;
}

}  // namespace lithe
