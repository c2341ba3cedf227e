// chrF of a translated text (Popovic 2015) as sacreBLEU computes it (version 2.6.0, its defaults): character n-grams up
// to 6 without white space, recall counts twice (beta 2), orders that one side has none of are left out.
#pragma once

#include <string>
#include <vector>

namespace lithe {

// 0 to 100. Throws `failed` where the lists differ in length.
double corpus_chrf(const std::vector<std::string>& hypotheses, const std::vector<std::string>& references);
// "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0", of what this equals.
std::string chrf_signature();

}  // namespace lithe
