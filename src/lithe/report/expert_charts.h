// How a run used its experts (blocks/moe.h), drawn.
#pragma once

#include <string>

#include "lithe/report/run_record.h"

namespace lithe {

// A chart for each mixture: the share of tokens whose first choice each expert is; of many experts the most used, the
// middle and the least used one. And one of the choices that were turned away. "" for runs without experts.
std::string expert_charts(const RunRecord& record);

}  // namespace lithe
