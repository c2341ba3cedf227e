// report.html of one run: settings, curves, samples, environment, in one self-contained file (no network, light and
// dark).
#pragma once

#include <string>

namespace lithe {

// Reads the run folder's files. A failure is a warning: a report never ends a run.
void write_report(const std::string& run);

}  // namespace lithe
