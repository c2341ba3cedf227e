// Opens a page in a headless browser, as a reader would.
#pragma once

#include <cstdio>
#include <string>

#include "support/files.h"

namespace lithe::testing {

// Path of a browser on this machine, or "".
inline std::string find_browser() {
    for (const char* name : {"chromium-headless-shell", "chromium", "google-chrome"})
        for (const char* folder : {"/usr/bin/", "/usr/local/bin/"})
            if (std::filesystem::exists(folder + std::string(name))) return folder + std::string(name);
    return "";
}

// Said by a test that is skipped at its end, after all that needs no browser.
constexpr const char* kNoBrowser = "no browser on this machine: the page was not opened";

struct OpenedPage {
    std::string dom;      // the document after loading
    std::string console;  // what it wrote to the console, errors among it
    int width = 0;        // of its content, in a window of 360 pixels
};

inline OpenedPage open_page(const TemporaryFolder& folder, const std::string& path) {
    // a copy that tells its width; what the browser writes lies in files. Some browsers make no window that narrow: the
    // page then counts by how much it is wider than theirs
    folder.write("opened.html", read_all(path) +
                                    "<script>const page = document.documentElement; page.dataset.width = "
                                    "360 + page.scrollWidth - page.clientWidth</script>");
    const std::string command = find_browser() +
                                " --headless --no-sandbox --disable-gpu --window-size=360,800 --enable-logging=stderr "
                                "--v=0 --user-data-dir=" +
                                folder.file("profile") + " --dump-dom file://" + folder.file("opened.html") + " > " +
                                folder.file("dom.txt") + " 2> " + folder.file("console.txt");
    OpenedPage page;
    if (std::system(command.c_str()) != 0) return page;
    page.dom = read_all(folder.file("dom.txt"));
    std::istringstream lines(read_all(folder.file("console.txt")));
    for (std::string line; std::getline(lines, line);)
        if (line.find("CONSOLE") != std::string::npos) page.console += line + "\n";
    const std::string mark = "data-width=\"";
    if (size_t at = page.dom.find(mark); at != std::string::npos)
        page.width = std::atoi(page.dom.c_str() + at + mark.size());
    return page;
}

}  // namespace lithe::testing
