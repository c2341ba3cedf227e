#!/usr/bin/env python3
"""check_layers.py refuses what belongs to other folders, and nothing else."""
import unittest

from check_layers import faults_of

REFUSED = {  # a line: the folder where it is refused
    '#include "lithe/train/trainer.h"': "model",
    '#include "lithe/cli/signals.h"': "api",
    '#include "lithe/api/threads.h"': "cli",
    '#include "lithe/model.h"': "train",
    '#include "lithe/base/error.h"': "include",
    "#include <ATen/ATen.h>": "include",
    "#include <torch/version.h>": "data",
    "auto json = nlohmann::json::parse(text);": "data",
    "TrainStep step;": "train",
    "auto step = StepModel::make(model, {});": "model",
    "return int(ExitCode::stopped);": "train",
    "_exit(3);": "base",
    "std::signal(SIGBUS, handler);": "base",
    "if (stop_requested()) return;": "data",
    "if (lithe::stop_requested()) return;": "data",
    'fail_usage("the prompt is empty", "--prompt");': "model",
    'hint = "worse (--set train.max_seconds=" + text;': "plan",
    'hint = "encode it: lithe data prepare --tokenizer FILE";': "formats",
}
ACCEPTED = {
    '#include "lithe/base/error.h"': "train",
    '#include "lithe/error.h"': "base",
    '#include "lithe/model.h"': "api",
    '#include "lithe/export.h"': "include",
    "#include <ATen/ATen.h>": "ops",
    "return int(ExitCode::stopped);": "cli",
    "if (options.stop.stop_requested()) return;": "data",
    "if (stop->stop_requested()) return;": "data",
    "int count = 3;  // TrainStep, as of --set": "train",
    'fail_usage("the prompt is empty", "--prompt");': "cli",
    'fail_usage("the prompt is empty", option("prompt"));': "model",
    'reason + "; fetch the CUDA libraries with: ./dev setup --cuda"': "ops",
    '" { stroke: var(--c" + c + ") }"': "report",
    'text += " -- " + rest;': "report",
    "for (int i = 8; --i;)": "base",
}


class Lines(unittest.TestCase):
    def test_refused(self):
        for line, folder in REFUSED.items():
            with self.subTest(line=line, folder=folder):
                self.assertEqual(len(list(faults_of(folder, line))), 1)

    def test_accepted(self):
        for line, folder in ACCEPTED.items():
            with self.subTest(line=line, folder=folder):
                self.assertEqual(list(faults_of(folder, line)), [])


if __name__ == "__main__":
    unittest.main()
