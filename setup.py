"""Builds the one extension; everything else is in pyproject.toml."""

import glob
import os
import sys
import sysconfig

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# Free-threaded builds have no stable ABI; they get an extension of their own version.
ABI3 = not sysconfig.get_config_var("Py_GIL_DISABLED") and os.environ.get("PHASELOCK_NO_ABI3") != "1"


class BuildNative(build_ext):
    def build_extensions(self):
        if self.compiler.compiler_type == "msvc":
            flags = ["/O2", "/std:c11", "/experimental:c11atomics"]
        else:
            flags = ["-O3", "-std=c11"]
        for extension in self.extensions:
            extension.extra_compile_args = flags
        super().build_extensions()


def in_ext(*patterns):
    """Paths relative to this directory, sorted, so that builds repeat."""
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ext")
    return sorted(f"ext/{name}" for pattern in patterns for name in glob.glob(pattern, root_dir=here))


native = Extension(
    "phaselock._native",
    ["ext/_native.pyx", *in_ext("pl_*.c")],
    depends=in_ext("*.h", "*.pxd"),
    include_dirs=["ext"],
    libraries=["ws2_32"] if sys.platform == "win32" else ["m"],
    define_macros=[("Py_LIMITED_API", "0x030B0000")] if ABI3 else [],
    py_limited_api=ABI3,
)

setup(
    ext_modules=[native],
    cmdclass={"build_ext": BuildNative},
    options={
        # The generated C lives in build/, never in the tree, the sdist or the wheel.
        "build_ext": {"cython_c_in_temp": True, "cython_include_dirs": "ext"},
        **({"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {}),
    },
)
