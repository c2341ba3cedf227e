#include "lithe/report/page.h"

namespace lithe {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #6a737d; --line: #d8dee4;
 --c0: #1f6feb; --c1: #d9480f; --c2: #2b8a3e; --c3: #9c36b5; --c4: #0b7285; --c5: #c2255c; --c6: #846200; --c7: #5f3dc4 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --soft: #8b949e; --line: #30363d;
 --c0: #58a6ff; --c1: #ff922b; --c2: #69db7c; --c3: #e599f7; --c4: #3bc9db; --c5: #f783ac; --c6: #ffd43b; --c7: #b197fc } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere } h2 { font-size: 1.1rem; margin-top: 2rem } .soft { color: var(--soft) }
table { border-collapse: collapse } p, li { overflow-wrap: anywhere } ul { padding-left: 1.2rem } td, th { padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top; overflow-wrap: anywhere }
.wide { overflow-x: auto; font-size: .9rem; margin-right: calc(50% - 50vw + 1.5rem) } .wide td, .wide th { border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; overflow-wrap: normal }
.wide td { white-space: nowrap } .wide td.long { white-space: normal; min-width: 14rem; overflow-wrap: anywhere } .wide th { vertical-align: bottom }
pre { background: color-mix(in srgb, var(--line) 35%, transparent); padding: .8rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; border-radius: 6px; font-size: .85rem }
figure { margin: 1.5rem 0 } figcaption { font-size: .9rem; overflow-wrap: anywhere } figure p { margin: 0; font-size: .9rem } .key { margin-left: .8rem; display: inline-block }
svg { width: 100%; height: auto } .grid { stroke: var(--line) } .tick { fill: var(--soft); font-size: 12px } .curve { fill: none; stroke-width: 1.5 } .faint { opacity: .3 } .name { font-size: 12px }
@media (max-width: 46rem) { .wide { margin-right: 0 } .wide table, .wide tbody, .wide tr, .wide td, .wide td.long { display: block; min-width: 0 } .wide tr:first-child { display: none }
 .wide tr { padding: .5rem 0; border-bottom: 1px solid var(--line) } .wide td { border: 0; padding: 0; white-space: normal; overflow-wrap: anywhere } .wide td:first-child { font-weight: 600 } .wide td:empty { display: none }
 .wide td + td::before { content: attr(data-head) ": "; color: var(--soft) } .tick, .name { font-size: 20px } .curve { stroke-width: 2.5 } }
)";

}  // namespace

std::string page_head(const std::string& title) {
    std::string colours;
    for (char c = '0'; c < '8'; ++c)
        colours += std::string(".l") + c + " { stroke: var(--c" + c + ") } .f" + c + " { fill: var(--c" + c + ") } .t" +
                   c + " { color: var(--c" + c + ") }\n";
    return "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">" + std::string(kPageMark) +
           "<meta name=\"viewport\" "
           "content=\"width=device-width, initial-scale=1\"><link rel=\"icon\" href=\"data:,\"><title>" +
           escape_html(title) + "</title><style>" + kStyle + colours + "</style><h1>" + escape_html(title) + "</h1>";
}

std::string page_end() { return "</html>\n"; }

std::string table_row(const std::string& name, const std::string& value) {
    return "<tr><th>" + escape_html(name) + "</th><td>" + escape_html(value) + "</td></tr>";
}

std::string table_html(const std::vector<std::vector<std::string>>& rows) {
    constexpr size_t kLong = 28;
    std::string html = "<div class=\"wide\"><table>";
    for (size_t i = 0; i < rows.size(); ++i) {
        html += "<tr>";
        for (size_t column = 0; column < rows[i].size(); ++column) {
            const std::string& cell = rows[i][column];
            if (i == 0) html += "<th>" + escape_html(cell) + "</th>";
            else
                html += std::string("<td") + (cell.size() > kLong ? " class=\"long\"" : "") + " data-head=\"" +
                        escape_html(rows[0][column]) + "\">" + escape_html(cell) + "</td>";
        }
        html += "</tr>";
    }
    return html + "</table></div>";
}

std::string escape_html(const std::string& text) {
    std::string out;
    for (char c : text) {
        if (c == '&') out += "&amp;";
        else if (c == '<') out += "&lt;";
        else if (c == '>') out += "&gt;";
        else if (c == '"') out += "&quot;";
        else out += c;
    }
    return out;
}

}  // namespace lithe
