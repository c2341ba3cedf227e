// What most tests of what works on tensors include, read once for all of them.
#pragma once

#include <CLI/CLI.hpp>

#include "lithe/ops/node.h"
#include "support/precompiled_core.h"
