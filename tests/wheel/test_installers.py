"""What the installers say to the desktops of Linux and macOS, their icons, and wheels that share a folder."""

from __future__ import annotations

import configparser
import os
import pathlib
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import urllib.parse
import zipfile

import pytest

from phaselock.cli import command_line
from phaselock.model.invitation import invitation_text
from phaselock.network.service_record import SERVICE_TYPE

ROOT = pathlib.Path(__file__).parents[2]
DESKTOP = ROOT / "phaselock" / "data" / "phaselock.desktop"
MAC = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["briefcase"]
MAC_APP = MAC["app"]["app"]
MAC_INFO = MAC_APP["macOS"]["info"]


def test_macos_knows_the_program_by_its_identifier() -> None:
    assert MAC["bundle"] == "com.phaselock" and list(MAC["app"]) == ["app"]  # together: com.phaselock.app
    start = {pathlib.Path(source).name: ROOT / source for source in MAC_APP["sources"]}
    assert start.keys() == {"app", "phaselock"}
    assert (start["app"] / "__main__.py").is_file()


def test_no_requirement_compares_the_release_of_the_kernel() -> None:
    """pip 24.1 and 24.2 install nothing then, where the release is no Python version: 6.8.0-45-generic."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    requirements = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    assert not [one for one in requirements if re.search(r"platform_(release|version) *[<>=~!]", one)]


def test_macos_shows_why_the_program_asks() -> None:
    assert MAC_INFO["NSBonjourServices"] == [SERVICE_TYPE.removesuffix(".local.")]
    texts = {
        "NSMicrophoneUsageDescription": MAC_APP["permission"]["microphone"],
        "NSLocalNetworkUsageDescription": MAC_INFO["NSLocalNetworkUsageDescription"],
    }
    for text in texts.values():
        assert "PhaseLock" in text and not set("<&>") & set(text)  # briefcase writes them into XML unescaped
    for language in set(MAC_INFO["CFBundleLocalizations"]) - {"en"}:
        strings = (ROOT / "wheels" / "macos" / f"{language}.lproj" / "InfoPlist.strings").read_text("utf-8")
        assert dict(re.findall(r'^"(\w+)" = "(.+)";$', strings, re.MULTILINE)).keys() == texts.keys()


def test_the_icons_need_no_display(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("_tkinter")
    pytest.importorskip("customtkinter")
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    subprocess.run(
        [sys.executable, ROOT / "wheels" / "icons.py", tmp_path / "build" / "icon"], env=environment, check=True
    )
    assert (tmp_path / f"{MAC_APP['icon']}.icns").read_bytes()[:4] == b"icns"
    for size in (16, 48, 256, 512):
        png = (tmp_path / "build" / "icon" / f"icon-{size}.png").read_bytes()
        assert png[:8] == b"\x89PNG\r\n\x1a\n" and png[16:24] == size.to_bytes(4, "big") * 2


def test_the_desktop_entry_starts_the_window() -> None:
    entry = configparser.RawConfigParser()
    entry.optionxform = str  # type: ignore[assignment, method-assign]
    entry.read(DESKTOP, "utf-8")
    program, *arguments = entry["Desktop Entry"]["Exec"].split()
    assert program == "phaselock" and arguments.pop() == "%U"
    assert command_line().parse_args(arguments).run is command_line().parse_args(["window"]).run


def test_all_desktops_open_invitations(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("customtkinter")
    scheme = urllib.parse.urlsplit(invitation_text("a", "")).scheme
    assert f";x-scheme-handler/{scheme};" in DESKTOP.read_text("utf-8")
    assert f"<mediatype>x-scheme-handler/{scheme}</" in DESKTOP.with_name("com.phaselock.app.metainfo.xml").read_text()
    assert [kind["CFBundleURLSchemes"] for kind in MAC_INFO["CFBundleURLTypes"]] == [[scheme]]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "PhaseLock").mkdir()
    wix = runpy.run_path(str(ROOT / "wheels" / "msi" / "describe.py"))["describe"]("0.1.0")
    values = {(one.get("Key"), one.get("Name", "")): one.get("Value") for one in wix.iter("RegistryValue")}
    key = rf"Software\Classes\{scheme}"
    assert values[key, "URL Protocol"] == ""
    command = values[rf"{key}\shell\open\command", ""].partition(" -m phaselock ")[2].replace('"%1"', "phaselock:///a")
    assert command_line().parse_args(command.split()).files == ["phaselock:///a"]


@pytest.mark.parametrize(
    ("tool", "file"),
    [
        (("desktop-file-validate",), DESKTOP),
        (("appstreamcli", "validate", "--no-net"), DESKTOP.with_name("com.phaselock.app.metainfo.xml")),
    ],
)
def test_the_desktop_accepts(tool: tuple[str, ...], file: pathlib.Path) -> None:
    if shutil.which(tool[0]) is None:
        pytest.skip(f"{tool[0]} is not installed")
    done = subprocess.run([*tool, file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0 and "warning" not in done.stdout, done.stdout


def merged(folder: pathlib.Path, wheels: dict[str, dict[str, str]]) -> dict[str, str]:
    """The files of these wheels, which wheels/deb/merge.py unpacks into one folder."""
    for name, files in wheels.items():
        with zipfile.ZipFile(folder / name, "w") as wheel:
            for path, text in files.items():
                wheel.writestr(path, text)
    merge = runpy.run_path(str(ROOT / "wheels" / "deb" / "merge.py"))["merge"]
    merge(folder / "site", [folder / name for name in reversed(wheels)])
    return {
        path.relative_to(folder / "site").as_posix(): path.read_text()
        for path in (folder / "site").rglob("*")
        if path.is_file()
    }


def test_wheels_for_two_versions_of_python_share_a_folder(tmp_path: pathlib.Path) -> None:
    wheels = {
        f"box-1-cp3{minor}-cp3{minor}-linux.whl": {
            "box/__init__.py": "",
            f"box/lid.cpython-3{minor}.so": f"for 3.{minor}",
            "box/base.abi3.so": f"for 3.{minor} and newer",
            "box-1.dist-info/WHEEL": f"for 3.{minor}",
            "box-1.data/data/share/man/man1/box.1": "a manual",
        }
        for minor in (11, 12)
    }
    assert merged(tmp_path, wheels) == {
        "box/__init__.py": "",
        "box/lid.cpython-311.so": "for 3.11",
        "box/lid.cpython-312.so": "for 3.12",
        "box/base.abi3.so": "for 3.11 and newer",
        "box-1.dist-info/WHEEL": "for 3.11",
    }


@pytest.mark.parametrize(
    ("second", "files"),
    [
        ("box-1-cp312-cp312-linux.whl", {"box/__init__.py": "another"}),
        ("box-2-cp312-cp312-linux.whl", {}),
        ("box-1-cp312-cp312-linux.whl", {"box-1.data/scripts/box": ""}),
    ],
)
def test_wheels_that_cannot_share_a_folder(second: str, files: dict[str, str], tmp_path: pathlib.Path) -> None:
    with pytest.raises(SystemExit, match="box"):
        merged(tmp_path, {"box-1-cp311-cp311-linux.whl": {"box/__init__.py": ""}, second: files})


def test_a_package_for_several_pythons_gets_what_each_of_them_needs() -> None:
    requirements = runpy.run_path(str(ROOT / "wheels" / "deb" / "requirements.py"))["requirements"]
    metadata = (
        "Metadata-Version: 2.4\n"
        "Requires-Dist: always>=1\n"
        "Requires-Dist: old>=2; python_version < '3.14'\n"
        "Requires-Dist: arm; platform_machine == 'aarch64'\n"
        "Requires-Dist: other; sys_platform == 'win32'\n"
        "Requires-Dist: more; extra == 'internet'\n"
    )
    assert requirements(metadata, "3.13", "x86_64") == ["always>=1", "old>=2"]
    assert requirements(metadata, "3.14", "aarch64") == ["always>=1", "arm"]
