"""Describe the Windows installer of the folder PhaseLock: phaselock.wxs for wixl, and the tables that wixl cannot make.

usage: python wheels/msi/describe.py VERSION      (in the folder that contains PhaseLock)

Windows identifies a part of an installation by the GUID of its component. A component is a folder here; its GUID
depends on the path of the folder only, so that all versions agree.
"""

from __future__ import annotations

import pathlib
import re
import sys
import uuid
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from phaselock.model.file_kinds import PLAYED_ENDINGS, PLAYLIST_ENDINGS
from phaselock.ui.theme import APP_USER_MODEL_ID

NAME = "PhaseLock"
UPGRADE_CODE = uuid.UUID("8d0a3d0c-6f0e-4a52-b0a6-3f6f5a1e7d94")
"""Means this program to Windows, in all versions. Never change it: an installer removes older versions by it."""
ENDINGS = (*PLAYED_ENDINGS, *PLAYLIST_ENDINGS)
"""Files that have a command for PhaseLock in their context menu. The program that opens them stays the user's."""
PYTHONW = r"[INSTALLDIR]python\pythonw.exe"
WINDOW = "-m phaselock window"


def guid(path: str) -> str:
    return str(uuid.uuid5(UPGRADE_CODE, path)).upper()


def identifier(kind: str, path: str) -> str:
    return kind + uuid.uuid5(UPGRADE_CODE, path).hex


def component(parent: Element, path: str, feature: Element) -> Element:
    name = identifier("c", path)
    SubElement(feature, "ComponentRef", Id=name)
    return SubElement(parent, "Component", Id=name, Guid=guid(path), Win64="yes")


def add_files(parent: Element, folder: pathlib.Path, feature: Element) -> None:
    """Describe what is in `folder`, which `parent` describes. Folders come and go with the files in them: one that is
    described as an own part of the installation would keep the folders around it when they are removed."""
    paths = sorted(folder.iterdir())
    if files := [path.as_posix() for path in paths if path.is_file()]:
        own = component(parent, folder.as_posix(), feature)
        for name in files:
            SubElement(own, "File", Id=identifier("f", name), Source=name, Name=pathlib.PurePath(name).name)
        SubElement(own, "RemoveFolder", Id=identifier("r", folder.as_posix()), On="uninstall")
    for path in paths:
        if path.is_dir():
            inner = SubElement(parent, "Directory", Id=identifier("d", path.as_posix()), Name=path.name)
            add_files(inner, path, feature)


def add_entries(parent: Element, feature: Element) -> None:
    """Describe the entry of the start menu, those of the context menus of files, and what opens invitations."""
    menu = component(parent, "menu", feature)
    shortcut = SubElement(menu, "Shortcut", Id="Menu", Name=NAME, Target=PYTHONW, Arguments=WINDOW)
    shortcut.set("Description", "Plays the same music in phase on several computers")
    shortcut.set("Icon", "phaselock.ico")
    shortcut.set("WorkingDirectory", "PersonalFolder")
    values = [(rf"Software\{NAME}", "installed", "integer", "1")]
    for ending in ENDINGS:
        key = rf"Software\Classes\SystemFileAssociations\{ending}\shell\AddToPhaseLock"
        values += [
            (key, "", "string", f"Add to {NAME}"),
            (key, "Icon", "string", "[INSTALLDIR]phaselock.ico"),
            (key, "MultiSelectModel", "string", "Player"),  # else the entry is hidden if more than 15 files are chosen
            (key + r"\command", "", "string", f'"{PYTHONW}" {WINDOW} "%1"'),
        ]
    scheme = r"Software\Classes\phaselock"
    values += [
        (scheme, "", "string", f"URL:{NAME} invitation"),
        (scheme, "URL Protocol", "string", ""),
        (scheme + r"\DefaultIcon", "", "string", "[INSTALLDIR]phaselock.ico"),
        # Behind --, a quotation mark in an address of a web page cannot add options.
        (scheme + r"\shell\open\command", "", "string", f'"{PYTHONW}" {WINDOW} -- "%1"'),
    ]
    for key, name, kind, value in values:
        entry = SubElement(menu, "RegistryValue", Root="HKCU", Key=key, Type=kind, Value=value)
        if name:
            entry.set("Name", name)
    menu.findall("RegistryValue")[0].set("KeyPath", "yes")


def add_upgrade(product: Element, version: str) -> None:
    first, second, third = version.split(".")
    following = f"{first}.{second}.{int(third) + 1}"
    upgrade = SubElement(product, "Upgrade", Id=str(UPGRADE_CODE))
    SubElement(upgrade, "UpgradeVersion", Minimum="0.0.0", Maximum=following, Property="OLDER")
    SubElement(upgrade, "UpgradeVersion", Minimum=following, OnlyDetect="yes", Property="NEWER")
    condition = SubElement(product, "Condition", Message=f"A newer version of {NAME} is installed.")
    condition.text = "Installed OR NOT NEWER"


def add_actions(product: Element) -> None:
    """Describe what runs during an installation, and when: CostFinalize has the number 1000, InstallValidate 1400,
    InstallInitialize 1500, RemoveRegistryValues 2600, WriteRegistryValues 5000."""
    SubElement(product, "CustomAction", Id="FindPython", Property="PYTHONW", Value=PYTHONW, Impersonate="yes")
    for name, command in (("CloseRunning", '"[INSTALLDIR]close.py"'), ("AskReset", "-m phaselock reset")):
        action = SubElement(product, "CustomAction", Id=name, Property="PYTHONW", ExeCommand=command)
        action.set("Impersonate", "yes")
        action.set("Return", "ignore")  # a damaged installation can be replaced and removed
    sequence = SubElement(product, "InstallExecuteSequence")
    for name, number, when in (
        ("FindPython", 1010, "OLDER OR Installed"),
        ("CloseRunning", 1020, "(OLDER OR Installed) AND NOT UPGRADINGPRODUCTCODE"),
        # Level 2 of the user interface is none at all. The settings of Windows remove programs with level 3.
        ("AskReset", 1410, 'REMOVE="ALL" AND NOT UPGRADINGPRODUCTCODE AND UILevel > 2'),
    ):
        SubElement(sequence, "Custom", Action=name, Sequence=str(number)).text = when
    # The old version goes and the new one comes in one transaction: if that fails, the old version is back.
    SubElement(sequence, "RemoveExistingProducts", Sequence="1510")
    SubElement(sequence, "RemoveEnvironmentStrings", Sequence="2610")
    SubElement(sequence, "WriteEnvironmentStrings", Sequence="5010")


def describe(version: str) -> Element:
    wix = Element("Wix", xmlns="http://schemas.microsoft.com/wix/2006/wi")
    product = SubElement(wix, "Product", Id="*", Name=NAME, Language="1033", Version=version)
    product.set("Manufacturer", "The PhaseLock authors")
    product.set("UpgradeCode", str(UPGRADE_CODE))
    SubElement(product, "Package", InstallerVersion="500", Compressed="yes", InstallScope="perUser")
    add_upgrade(product, version)
    SubElement(product, "Icon", Id="phaselock.ico", SourceFile="PhaseLock/phaselock.ico")
    for name, value in (("ARPPRODUCTICON", "phaselock.ico"), ("ARPNOMODIFY", "1"), ("REBOOT", "ReallySuppress")):
        SubElement(product, "Property", Id=name, Value=value)
    SubElement(product, "Media", Id="1", Cabinet="phaselock.cab", EmbedCab="yes")
    feature = Element("Feature", Id="All", Level="1")
    root = SubElement(product, "Directory", Id="TARGETDIR", Name="SourceDir")
    local = SubElement(root, "Directory", Id="LocalAppDataFolder")
    programs = SubElement(local, "Directory", Id="Programs", Name="Programs")
    add_files(SubElement(programs, "Directory", Id="INSTALLDIR", Name=NAME), pathlib.Path(NAME), feature)
    SubElement(root, "Directory", Id="PersonalFolder")
    add_entries(SubElement(root, "Directory", Id="ProgramMenuFolder"), feature)
    product.append(feature)
    add_actions(product)
    return wix


def table(name: str, columns: dict[str, str], row: tuple[str, ...]) -> None:
    """Write a table with one row, in the format of `msibuild -i`. The first column is its key."""
    lines = (columns, columns.values(), (name, next(iter(columns))), row)
    pathlib.Path(f"{name}.idt").write_text("".join("\t".join(line) + "\r\n" for line in lines), newline="")


def main(version: str) -> None:
    numbers = re.match(r"\d+\.\d+\.\d+", version)  # Windows compares three numbers; "rc1" is not for it
    assert numbers, version
    ElementTree.ElementTree(describe(numbers[0])).write("phaselock.wxs", encoding="utf-8", xml_declaration=True)
    menu = identifier("c", "menu")
    # The folder comes last in the PATH of the user, and is removed from it with the program.
    types = {"Environment": "s72", "Name": "l255", "Value": "L255", "Component_": "s72"}
    table("Environment", types, ("Path", "=-PATH", "[~];[INSTALLDIR]", menu))
    # The taskbar shows the window under the icon of the shortcut that has the identity of the window.
    types = {"MsiShortcutProperty": "s72", "Shortcut_": "s72", "PropertyKey": "s0", "PropVariantValue": "s0"}
    table("MsiShortcutProperty", types, ("Identity", "Menu", "System.AppUserModel.ID", APP_USER_MODEL_ID))


if __name__ == "__main__":
    main(sys.argv[1])
