"""Compare the table of audio/handles.py with miniaudio's header, compiled for each system in the table."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import pathlib
import shutil
import subprocess
import sys
import tarfile

import pytest
from _miniaudio import ffi, lib

from phaselock.audio import handles

MEMBERS = {
    "alsa": "alsa.pPCMPlayback",
    "pulseaudio": "pulse.pStreamPlayback",
    "pulseaudio capture": "pulse.pStreamCapture",
    "jack": "jack.pClient",
    "wasapi": "wasapi.pAudioClientPlayback",
    "coreaudio": "coreaudio.audioUnitPlayback",
}
"""Name of each handle in ma_device."""

ZIG = (sys.executable, "-m", "ziglang", "cc", "-target")
COMPILERS = {
    "linux": ("gcc",),
    "windows": ("x86_64-w64-mingw32-gcc",) if shutil.which("x86_64-w64-mingw32-gcc") else (*ZIG, "x86_64-windows-gnu"),
    "macos": (*ZIG, "aarch64-macos"),
    "macos-x86": (*ZIG, "x86_64-macos"),
}
SYSTEMS = {
    "linux": ("alsa", "pulseaudio", "pulseaudio capture", "jack"),
    "windows": ("wasapi", "jack"),
    "macos": ("coreaudio",),
    "macos-x86": ("coreaudio",),
}


def test_the_installed_miniaudio_is_known() -> None:
    assert handles.known(), f"handles.py knows nothing of miniaudio {ffi.string(lib.ma_version_string()).decode()}"


def test_every_handle_has_a_system() -> None:
    assert set(handles._FIELDS) == set(MEMBERS) == {backend for backends in SYSTEMS.values() for backend in backends}


@pytest.fixture(scope="module")
def header(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """miniaudio.h of the installed package's version."""
    folder = tmp_path_factory.mktemp("miniaudio")
    version = importlib.metadata.version("miniaudio")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "miniaudio"]
    command = [*pip, "--no-build-isolation", "--dest", str(folder), f"miniaudio=={version}"]
    if subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).returncode:
        pytest.skip(f"the source of miniaudio {version} cannot be fetched")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as sources:
        (member,) = (name for name in sources.getnames() if name.endswith("/miniaudio.h"))
        content = sources.extractfile(member)
        assert content is not None
        (folder / "miniaudio.h").write_bytes(content.read())
    return folder / "miniaudio.h"


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_header_agrees(system: str, header: pathlib.Path, tmp_path: pathlib.Path) -> None:
    compiler = COMPILERS[system]
    if shutil.which(compiler[0]) is None or ("ziglang" in compiler and importlib.util.find_spec("ziglang") is None):
        pytest.skip(f"there is no compiler for {system}")
    version = ffi.string(lib.ma_version_string()).decode()
    platform_part, no_fixed_size = handles._LAYOUTS[version]
    major, minor, revision = version.split(".")
    claims = {
        "version": f"MA_VERSION_MAJOR == {major} && MA_VERSION_MINOR == {minor} && MA_VERSION_REVISION == {revision}",
        "let_callbacks_vary": f"offsetof(ma_device_config, noFixedSizedCallback) == {no_fixed_size}",
        "one byte": "sizeof ((ma_device_config *)0)->noFixedSizedCallback == 1",
    }
    for backend in SYSTEMS[system]:
        part = f"offsetof(ma_device, masterVolumeFactor) + {platform_part}"
        place = f"{part} + {handles._FIELDS[backend]} * sizeof(void *)"
        claims[backend] = f"offsetof(ma_device, {MEMBERS[backend]}) == {place}"
    lines = ['#include "miniaudio.h"', "#include <stddef.h>"]
    lines += [f'_Static_assert({claim}, "{name}");' for name, claim in claims.items()]
    (tmp_path / "claims.c").write_text("\n".join([*lines, ""]))
    command = [*compiler, "-std=c11", f"-I{header.parent}", "-c", "claims.c", "-o", "claims.o"]
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
