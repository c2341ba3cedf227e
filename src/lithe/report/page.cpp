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
table { border-collapse: collapse } p { overflow-wrap: anywhere } td, th { padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top }
.wide { overflow-x: auto } .wide td, .wide th { white-space: nowrap; border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums }
pre { background: color-mix(in srgb, var(--line) 35%, transparent); padding: .8rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; border-radius: 6px; font-size: .85rem }
svg { width: 100%; height: auto } .grid { stroke: var(--line) } .tick { fill: var(--soft); font-size: 11px } .title { fill: var(--ink); font-size: 13px; font-weight: 600 }
.curve { fill: none; stroke-width: 1.5 } .name { font-size: 11px } .legend { font-size: 12px }
)";

}  // namespace

std::string page_head(const std::string& title) {
    std::string colours;
    for (char c = '0'; c < '8'; ++c)
        colours += std::string(".l") + c + " { stroke: var(--c" + c + ") } .f" + c + " { fill: var(--c" + c + ") }\n";
    return "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
           "content=\"width=device-width, initial-scale=1\"><link rel=\"icon\" href=\"data:,\"><title>" +
           escape_html(title) + "</title><style>" + kStyle + colours + "</style><h1>" + escape_html(title) + "</h1>";
}

std::string page_end() { return "</html>\n"; }

std::string table_row(const std::string& name, const std::string& value) {
    return "<tr><th>" + escape_html(name) + "</th><td>" + escape_html(value) + "</td></tr>";
}

std::string table_html(const std::vector<std::vector<std::string>>& rows) {
    std::string html = "<div class=\"wide\"><table>";
    for (size_t i = 0; i < rows.size(); ++i) {
        const char* tag = i == 0 ? "th" : "td";
        html += "<tr>";
        for (const std::string& cell : rows[i])
            html += std::string("<") + tag + ">" + escape_html(cell) + "</" + tag + ">";
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
