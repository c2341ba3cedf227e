#!/usr/bin/env python3
"""setup.sh says what it installs or replaces, loses nothing without a network, and tells what to do by hand. The programs that it
calls are made up here; the wheels are small archives."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

TOOLS = pathlib.Path(__file__).resolve().parent
PIP = """#!/usr/bin/python3
import pathlib, sys, zipfile
if "FAILS" in pathlib.Path(__file__).read_text().splitlines()[-1]:
    sys.exit("no network")
folder = pathlib.Path(sys.argv[sys.argv.index("-d") + 1])
name, version = (folder / "requirements.txt").read_text().split()[0].split("==")
with zipfile.ZipFile(folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl", "w") as wheel:
    parts = {"torch/lib/libtorch_cpu.so": "", "torch/include/a.h": "", "torch/version.py": f"__version__ = '{version}+cu130'\\n"}
    for part, text in parts.items() if name == "torch" else [(f"nvidia/{name}.so", "")]:
        wheel.writestr(zipfile.ZipInfo(part, (1980, 1, 1, 0, 0, 0)), text)
#"""


class Setup(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root, self.stubs = pathlib.Path(folder.name) / "clone", pathlib.Path(folder.name) / "stubs"
        (self.root / "tools").mkdir(parents=True)
        self.stubs.mkdir()
        shutil.copy(TOOLS / "setup.sh", self.root / "tools")
        self.site = self.root / ".deps/site"
        self.stub("python3", PIP)
        self.stub("id", "#!/bin/sh\necho 0\n")
        self.stub("uname", "#!/bin/sh\necho x86_64\n")
        self.stub("apt-get", "#!/bin/sh\nexit 0\n")
        self.stub("apt-cache", "#!/bin/sh\nexit 0\n")
        self.packages_without()

    def stub(self, name, text):
        (self.stubs / name).write_text(text)
        (self.stubs / name).chmod(0o755)

    def packages_without(self, *missing):
        lines = "".join(f"  {name}) ;;\n" for name in missing)
        self.stub("dpkg-query", f'#!/bin/sh\nshift 2\nfor each; do case $each in\n{lines}  *) echo "installed $each" ;;\nesac; done\n')

    def no_network(self):
        self.stub("python3", PIP + " FAILS")
        self.stub("apt-get", "#!/bin/sh\necho 'E: no network' >&2\nexit 100\n")

    def old_torch(self):
        (self.site / "torch").mkdir(parents=True)
        (self.site / "torch/version.py").write_text("__version__ = '2.10.0+cu128'\n")
        for stamp in (".torch-2.10.0", ".cuda"):
            (self.site / stamp).touch()

    def run_setup(self, *options, **environment):
        clean = {key: value for key, value in os.environ.items() if key != "LITHE_TORCH"}
        done = subprocess.run(["bash", "tools/setup.sh", *options], cwd=self.root, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env={**clean, "PATH": f"{self.stubs}:{os.environ['PATH']}", **environment})
        return done.returncode, done.stdout + done.stderr

    def test_first_and_second_time(self):
        code, said = self.run_setup()
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r"installed LibTorch 2\.\d+\.\d+ in \.deps/site")
        self.assertEqual(self.run_setup(), (0, ""))

    def test_an_old_wheel_is_replaced_and_that_is_told(self):
        self.old_torch()
        before = time.time() - 2
        code, said = self.run_setup()
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r"replaced LibTorch 2\.10\.0 by 2\.\d+\.\d+")
        self.assertIn("./dev setup --cuda", said)
        self.assertGreater((self.site / "torch/include/a.h").stat().st_mtime, before, "what was built from older files must be built again")
        self.assertFalse((self.site / ".torch-2.10.0").exists())

    def test_without_a_network_the_old_wheel_stays(self):
        self.old_torch()
        self.no_network()
        code, said = self.run_setup()
        self.assertEqual(code, 1)
        self.assertRegex(said, r"By hand: put its wheel .* sha256 [0-9a-f]{64}")
        self.assertTrue((self.site / ".torch-2.10.0").exists())

    def test_a_wheel_carried_by_hand_must_have_the_hash(self):
        version = re.search(r'torch="torch (\S+) ', (self.root / "tools/setup.sh").read_text())[1]
        carried = self.root / f".deps/wheels/torch-{version}-cp312-cp312-manylinux_2_28_x86_64.whl"
        carried.parent.mkdir(parents=True)
        carried.write_text("something else")
        code, said = self.run_setup()
        self.assertEqual(code, 0, said)
        self.assertIn("does not have the sha256 that is expected", said)

    def test_missing_packages(self):
        self.packages_without("ccache", "libfmt-dev")
        code, said = self.run_setup()
        self.assertEqual(code, 0, said)
        self.assertIn("installed packages: ccache libfmt-dev", said)
        self.no_network()
        code, said = self.run_setup()
        self.assertEqual(code, 1)
        self.assertIn("E: no network", said)
        self.assertIn("as root: apt-get update && apt-get install -y --no-install-recommends ccache libfmt-dev", said)

    def test_missing_packages_and_no_root(self):
        self.packages_without("ccache")
        self.stub("id", "#!/bin/sh\necho 1000\n")
        self.stub("sudo", "#!/bin/sh\nexit 1\n")
        code, said = self.run_setup()
        self.assertEqual(code, 1)
        self.assertIn("as root: apt-get update && apt-get install -y --no-install-recommends ccache", said)

    def test_options(self):
        self.packages_without("clang", "clang-format-14")
        code, said = self.run_setup("--fuzz", "--lint")
        self.assertIn("installed packages: clang clang-format-14", said)
        code, said = self.run_setup("--fuzz", "--everything")
        self.assertEqual(code, 2)
        self.assertIn("unknown option '--everything'", said)

    def test_cuda_wheels_are_pinned(self):
        code, said = self.run_setup("--cuda")
        self.assertEqual(code, 0, said)
        self.assertTrue((self.site / "nvidia/nvidia-cublas.so").exists())
        self.assertEqual(self.run_setup("--cuda"), (0, ""))
        block = re.search(r"cuda_wheels=\((.*?)\)", (self.root / "tools/setup.sh").read_text(), re.S)[1]
        wheels = re.findall(r'"([^"]*)"', block)
        self.assertEqual(len(wheels), 13)
        for wheel in wheels:
            self.assertRegex(wheel, r"^[a-z0-9-]+ [0-9.]+ [0-9a-f]{64}$")

    def test_an_own_torch(self):
        self.assertIn("holds no lib/libtorch_cpu.so", self.run_setup(LITHE_TORCH="/nowhere")[1])
        own = self.root / "own"
        for name in ("lib/libtorch_cpu.so", "include/a.h", "version.py"):
            (own / name).parent.mkdir(parents=True, exist_ok=True)
            (own / name).write_text("__version__ = '1.13.1'\n")
        self.assertIn("is torch 1.13.1; 2.x is needed", self.run_setup(LITHE_TORCH=str(own))[1])


if __name__ == "__main__":
    unittest.main()
