// How many steps a run's positions took in its halting runs (model/halting.h), drawn.
#pragma once

#include <string>

#include "lithe/report/run_record.h"

namespace lithe {

// A curve for each halting run. "" for runs without any.
std::string halting_chart(const RunRecord& record);

}  // namespace lithe
