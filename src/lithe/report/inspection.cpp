#include "lithe/report/inspection.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "lithe/report/numbers.h"
#include "lithe/report/page.h"
#include "lithe/report/picture.h"

namespace lithe {

std::vector<double> KeptState::means() const {
    std::vector<double> sums(size_t(numbers), 0.0);
    for (int64_t step = 0; step < steps; ++step)
        for (int64_t i = 0; i < numbers; ++i) sums[size_t(i)] += double(kept[size_t(step * numbers + i)]);
    for (double& sum : sums) sum /= double(std::max<int64_t>(1, steps));
    return sums;
}

double half_life(double kept) {
    if (!(kept > 0)) return 0;
    if (kept >= 1) return std::numeric_limits<double>::infinity();
    return std::log(0.5) / std::log(kept);
}

namespace {

constexpr const char* kStyle =
    "<style>.heads { display: flex; flex-wrap: wrap; gap: .8rem } .heads figure { margin: 0; width: 9rem } .picture { "
    "width: 100%; height: auto; image-rendering: pixelated; border: 1px solid var(--line); background: #fff } .text "
    "span { border-bottom: 1px solid var(--line); margin-right: 1px; white-space: pre-wrap } .broad .picture { height: "
    "10rem }</style>";

std::string tokens_html(const std::vector<std::string>& tokens) {
    std::string html = "<p class=\"text\">";
    for (size_t i = 0; i < tokens.size(); ++i)
        html += "<span title=\"" + std::to_string(i) + "\">" + escape_html(tokens[i]) + "</span>";
    return html + "</p>";
}

std::string map_html(const AttentionMap& map) {
    std::string html = "<h3>" + escape_html(map.name) + "</h3><div class=\"heads\">";
    const auto size = size_t(map.queries * map.keys);
    for (int64_t head = 0; head < map.heads; ++head) {
        std::vector<float> shown(map.weights.begin() + head * int64_t(size),
                                 map.weights.begin() + (head + 1) * int64_t(size));
        double most = 0;
        for (float& weight : shown) {
            most = std::max(most, std::abs(double(weight)));
            weight = std::copysign(std::sqrt(std::abs(weight)), weight);  // small weights are seen, too
        }
        const std::string name = "head " + std::to_string(head + 1);
        html += "<figure>" + picture_html(shown, map.queries, map.keys, std::sqrt(most), map.name + ", " + name) +
                "<figcaption class=\"soft\">" + name + ", most " + three_digits(most) + "</figcaption></figure>";
    }
    return html + "</div>";
}

std::string maps_html(const std::vector<AttentionMap>& maps) {
    if (maps.empty()) return "";
    std::string html =
        "<h2>Who reads whom</h2><p class=\"soft\">A row is the token that reads, from the first at the top; a column "
        "is the token that is read. White is nothing, blue is read, orange is taken off. A colour goes with the root "
        "of "
        "the weight, and each picture reaches to its own largest weight.</p>";
    for (const AttentionMap& map : maps) html += map_html(map);
    return html;
}

// Numbers of a state by what is kept of them, in at most `kRows` groups; a row is a group, a column a token.
std::string kept_html(const KeptState& state) {
    constexpr int64_t kRows = 64;
    const std::vector<double> means = state.means();
    std::vector<size_t> order(means.size());
    std::iota(order.begin(), order.end(), size_t(0));
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return means[a] > means[b]; });
    const int64_t rows = std::min<int64_t>(kRows, state.numbers);
    std::vector<float> shown(size_t(rows * state.steps), 0.0F);
    for (int64_t row = 0; row < rows; ++row) {
        const int64_t begin = row * state.numbers / rows, end = (row + 1) * state.numbers / rows;
        for (int64_t step = 0; step < state.steps; ++step) {
            double sum = 0;
            for (int64_t i = begin; i < end; ++i)
                sum += double(state.kept[size_t(step * state.numbers + int64_t(order[size_t(i)]))]);
            shown[size_t(row * state.steps + step)] = float(sum / double(end - begin));
        }
    }
    return "<h3>" + escape_html(state.name) + "</h3><div class=\"broad\">" +
           picture_html(shown, rows, state.steps, 1, state.name + ", kept from token to token") + "</div>";
}

std::string tokens_text(double value) {
    if (std::isinf(value)) return "for ever";
    return three_digits(value);
}

std::string kept_all_html(const std::vector<KeptState>& states) {
    if (states.empty()) return "";
    std::vector<std::vector<std::string>> rows = {
        {"state", "numbers", "kept, mean", "half-life, a tenth below", "median", "a tenth above"}};
    std::string pictures;
    for (const KeptState& state : states) {
        std::vector<double> means = state.means();
        std::sort(means.begin(), means.end());
        const auto at = [&](double share) { return means[size_t(share * double(means.size() - 1))]; };
        const double mean = std::accumulate(means.begin(), means.end(), 0.0) / double(means.size());
        rows.push_back({state.name, std::to_string(state.numbers), three_digits(mean), tokens_text(half_life(at(0.1))),
                        tokens_text(half_life(at(0.5))), tokens_text(half_life(at(0.9)))});
        pictures += kept_html(state);
    }
    return "<h2>What recurrences keep</h2><p class=\"soft\">Of each number of a state, the share that goes over to the "
           "next token. Half-lives are in tokens. In the pictures a column is a token, from left to right, and a row "
           "is a group of numbers, those that keep most at the top. White forgets all, blue keeps all.</p>" +
           table_html(rows) + pictures;
}

std::string effective_text(const EffectiveContext& context) {
    return (context.reached ? "" : "at least ") + std::to_string(context.tokens);
}

std::string contexts_html(const std::vector<ContextOfRun>& runs) {
    if (runs.empty()) return "";
    Chart losses{"Loss in nats by context", "tokens before, that are read", {}, true};
    Chart changes{"Change of the loss, in nats, by a changed token", "tokens back", {}, true};
    std::vector<std::vector<std::string>> rows = {{"run", "all tokens", "the hardest half", "the hardest tenth"}};
    for (const ContextOfRun& run : runs) {
        Curve curve{run.run, {}, true}, change{run.run, {}, true};
        for (size_t i = 0; i < run.contexts.size(); ++i)
            curve.points.push_back({double(run.contexts[i]), run.losses[i]});
        for (size_t d = 0; d < run.changes.size(); ++d) change.points.push_back({double(d + 1), run.changes[d]});
        losses.curves.push_back(std::move(curve));
        changes.curves.push_back(std::move(change));
        std::vector<std::string> row = {run.run};
        for (const EffectiveContext& context : run.effective) row.push_back(effective_text(context));
        rows.push_back(row);
    }
    return "<h2>How far back</h2><p class=\"soft\">Relative effective context, in tokens (Dai et al. 2019, appendix "
           "C): "
           "from there on, reading more gains less than 1 % of perplexity over the best of these models.</p>" +
           table_html(rows) + chart_html(losses) + chart_html(changes);
}

std::string gradients_html(const std::vector<BlockGradient>& blocks) {
    if (blocks.empty()) return "";
    std::vector<std::vector<std::string>> rows = {{"block", "gradient", "weight", "gradient / weight"}};
    for (const BlockGradient& block : blocks)
        rows.push_back({block.path, three_digits(block.gradient), three_digits(block.weight),
                        block.weight > 0 ? three_digits(block.gradient / block.weight) : ""});
    return "<h2>Gradients</h2><p class=\"soft\">Root mean squares of a block's numbers, for the mean loss of a "
           "token.</p>" +
           table_html(rows);
}

}  // namespace

std::string inspection_page(const Inspection& seen) {
    std::string html = page_head("Inside " + seen.model) + kStyle;
    if (!seen.tokens.empty()) html += "<h2>The text</h2>" + tokens_html(seen.tokens);
    return html + contexts_html(seen.contexts) + maps_html(seen.maps) + kept_all_html(seen.kept) +
           gradients_html(seen.gradients) + page_end();
}

}  // namespace lithe
