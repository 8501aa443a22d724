"""Colours, sizes, fonts and scale of the window.

Every length in pixels goes through `px`, for all widgets (plain tk, canvas, customtkinter), paddings and
`root.geometry`. customtkinter's own scaling stays at 1 on every platform, so nothing is scaled twice. `setup` sets the
scale: PHASELOCK_SCALE if set; 1 on macOS, where the system scales; else the screen's dots per inch / 96, rounded to a
quarter. Import `ctk` from here (see below).
"""

from __future__ import annotations

import collections
import contextlib
import os
import sys
import tkinter as tk
import types
from collections.abc import Callable, Hashable
from typing import Any, TypeVar


class _Unused(types.ModuleType):
    """Stands for a module that customtkinter imports and PhaseLock does not use. Its names are empty classes."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        kind = self.__dict__[name] = type(name, (), {})
        return kind


# customtkinter imports all its widgets, and tkinter's dialogs, which cost 1 MB of memory. It imports Pillow if it is
# installed, which costs 2.4 MB; PhaseLock needs it only for artwork. It also imports darkdetect, which imports
# subprocess (1 MB) to ask the desktop what `prepare` sets.
_WIDGETS = (
    *("button", "checkbox", "combobox", "optionmenu", "radiobutton", "scrollbar"),
    *("segmented_button", "slider", "switch", "tabview", "textbox"),
)
_UNUSED = (
    *(f"customtkinter.windows.widgets.ctk_{name}" for name in _WIDGETS),
    "customtkinter.windows.widgets.core_widget_classes.dropdown_menu",
    "customtkinter.windows.ctk_input_dialog",
    "customtkinter.windows.ctk_toplevel",
    "tkinter.filedialog",
    "tkinter.ttk",
    *(() if sys.platform == "darwin" else ("packaging",)),  # on macOS it compares versions
)
_darkdetect = types.ModuleType("darkdetect")
_darkdetect.theme = lambda: "dark"  # type: ignore[attr-defined]  # it is made here, and empty
_instead: dict[str, Any] = {name: _Unused(name) for name in _UNUSED} | {"PIL": None, "darkdetect": _darkdetect}
_added = [name for name in _instead if sys.modules.setdefault(name, _instead[name]) is _instead[name]]
try:
    import customtkinter as ctk
finally:
    for _name in _added:
        del sys.modules[_name]

__all__ = [
    "BACKGROUND", "BODY", "CAPTION", "DISABLED", "ELEVATED", "ERROR", "ERROR_HOVER", "ERROR_PRESSED", "ERROR_TEXT",
    "FAINT", "FOCUS", "GRID", "MACHINES", "ON_PRIMARY", "PRIMARY", "PRIMARY_HOVER", "PRIMARY_PRESSED",
    "RAISED", "REST", "SECONDARY", "SECTION", "SURFACE", "TEXT", "TEXT_SECONDARY", "TITLE", "WARNING", "behind",
    "blend", "canvas_font", "ctk", "ellipsis", "family", "font", "forget", "high_contrast", "kept", "line_height",
    "measure", "prepare", "present", "px", "resize", "root", "scale", "scale_of_screen", "set_high_contrast",
    "set_still", "setup", "still",
]  # fmt: skip

# The palette: the colours of the whole window.
BACKGROUND = "#121212"
SURFACE = "#181818"
ELEVATED = "#282828"
PRIMARY = "#1DB954"
PRIMARY_HOVER = "#1ED760"
PRIMARY_PRESSED = "#169C46"
TEXT = "#FFFFFF"
TEXT_SECONDARY = "#B3B3B3"
ERROR = "#E22134"
ERROR_HOVER = "#C91D2E"
ERROR_PRESSED = "#A81826"
WARNING = "#F5B301"
ON_PRIMARY = "#000000"
FOCUS = "#FFFFFF"
DISABLED = "#6A6A6A"
"""Only for what cannot be used now; WCAG 2.2 asks no contrast of it."""
FAINT = "#949494"
"""The faintest text that can be read on every surface: examples in entries, songs that have been played."""
ERROR_TEXT = "#FF8089"
"""ERROR is a colour of areas and borders; as small text it would be too dark."""
GRID = "#2A2A2A"
REST = "#727272"
"""The part of a bar that is not yet played or filled."""
RAISED = "#393939"
"""ELEVATED under the pointer."""
MACHINES = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00")
"""The lines of the machines in a plot. Colour-blind people can tell them apart (Okabe and Ito, "Color Universal
Design", 2008)."""

_USUAL = {name: value for name, value in globals().items() if isinstance(value, str) and value.startswith("#")}
_HIGH_CONTRAST = {
    "BACKGROUND": "#000000",
    "SURFACE": "#0A0A0A",
    "ELEVATED": "#1F1F1F",
    "RAISED": "#333333",
    "PRIMARY": "#3DF27B",
    "PRIMARY_HOVER": "#7CFFA8",
    "PRIMARY_PRESSED": "#22C55E",
    "TEXT_SECONDARY": "#F0F0F0",
    "FAINT": "#D8D8D8",
    "DISABLED": "#A0A0A0",
    "ERROR_TEXT": "#FF9AA5",
    "WARNING": "#FFD23F",
    "REST": "#A0A0A0",
    "GRID": "#707070",
}
"""What differs with high contrast: texts reach 7:1, parts of drawings 4.5:1."""

TITLE = 28
SECTION = 20
BODY = 15
SECONDARY = 13
CAPTION = 11

APP_USER_MODEL_ID = "io.github.phaselock"
"""The identity of the program in the taskbar of Windows. A shortcut that starts the window must name the same one."""
_LINUX_FAMILIES = ("Inter", "Noto Sans", "DejaVu Sans")
_MAX_CACHED = 512
"""Limit of cached images and text measures."""

_T = TypeVar("_T")
_scale = _base_scale = 1.0
_high_contrast = _still = False
_family = "TkDefaultFont"
_root: tk.Tk | None = None
_cache: collections.OrderedDict[Hashable, Any] = collections.OrderedDict()


def prepare() -> None:
    """Call before the window is made: sets the dark mode, stops customtkinter's polling, and tells Windows the identity
    and the DPI awareness of this process."""
    ctk.set_appearance_mode("dark")
    appearance, scaling = ctk.AppearanceModeTracker, ctk.ScalingTracker
    # Both trackers poll without end (on Linux one starts a process each time). They do not start if they seem to run.
    appearance.update_loop_running = scaling.update_loop_running = True
    appearance.update_loop_interval = scaling.update_loop_interval = 3_600_000
    scaling.deactivate_automatic_dpi_awareness = True
    if sys.platform == "win32":
        import ctypes

        with contextlib.suppress(AttributeError, OSError):
            ctypes.windll.shcore.SetProcessDpiAwareness(1)  # 1: one scale for all screens, like `px`
        with contextlib.suppress(AttributeError, OSError):  # else the taskbar shows the icon of Python
            ctypes.windll.shell32.SetCurrentProcessExplicitAppUserModelID(APP_USER_MODEL_ID)


def setup(root: tk.Tk) -> None:
    """Determine scale and font for this window; clear the cache of another one."""
    global _base_scale, _family, _root, _scale
    _cache.clear()
    _root = root
    _scale = _base_scale = _scale_of(root)
    _family = _family_of(root)
    if root.tk.call("tk", "windowingsystem") == "x11":
        # Each widget first opens the default font, even if it gets another one. Each font of another size takes 0.1 MB.
        root.tk.call("font", "configure", "TkDefaultFont", "-family", _family, "-size", -px(BODY))
    root.configure(**{"fg_color" if isinstance(root, ctk.CTk) else "background": BACKGROUND})


def scale_of_screen() -> float:
    """The scale without the size of the text that the user has chosen."""
    return _base_scale


def resize(factor: float) -> None:
    """Show everything larger by this factor. Existing widgets must be made again."""
    global _scale
    _cache.clear()
    _scale = _base_scale * factor


def set_high_contrast(on: bool) -> None:
    """Switch the palette. Existing widgets must be made again."""
    global _high_contrast
    _high_contrast = on
    globals().update({**_USUAL, **(_HIGH_CONTRAST if on else {})})


def high_contrast() -> bool:
    """Whether the palette is the one of high contrast."""
    return _high_contrast


def present(colour: str) -> str:
    """The colour of the present palette for one of the usual palette, which was read when a module was imported."""
    name = next((name for name, value in _USUAL.items() if value == colour), "")
    return _HIGH_CONTRAST.get(name, colour) if _high_contrast else colour


def set_still(on: bool) -> None:
    """Show everything without motion from now on, or with it."""
    global _still
    _still = on


def still() -> bool:
    """Whether nothing may move by itself."""
    return _still


def _scale_of(root: tk.Tk) -> float:
    wanted = os.environ.get("PHASELOCK_SCALE", "")
    try:
        return min(max(float(wanted), 0.5), 4.0)
    except ValueError:
        pass
    if sys.platform == "darwin":
        return 1.0
    return min(max(round(root.winfo_fpixels("1i") / 96 * 4) / 4, 1.0), 4.0)


def _family_of(root: tk.Tk) -> str:
    def actual(name: str) -> str:
        return str(root.tk.call("font", "actual", (name, -px(BODY)), "-family"))

    if sys.platform == "win32":
        return "Segoe UI"
    if sys.platform == "darwin":
        return actual("TkDefaultFont")  # SF Pro has no name of its own there
    for name in _LINUX_FAMILIES:
        if actual(name) == name:
            return name
    return str(root.tk.call("font", "actual", "TkDefaultFont", "-family"))


def scale() -> float:
    """Screen pixels per pixel of the design."""
    return _scale


def px(n: float) -> int:
    """Convert a length of the design to pixels of the screen."""
    return round(n * _scale)


def family() -> str:
    """The platform's interface font."""
    return _family


def font(size: int, bold: bool = False) -> tuple[str, int, str]:
    """A font for customtkinter's widgets."""
    return _family, px(size), "bold" if bold else "normal"


def canvas_font(size: int, bold: bool = False) -> tuple[str, int, str]:
    """A font for canvases and plain tk; Tk takes a negative size as pixels."""
    return _family, -px(size), "bold" if bold else "normal"


def forget() -> None:
    """Empty the cache."""
    _cache.clear()


def kept(key: Hashable, make: Callable[[], _T]) -> _T:
    """The cached result of `make()`. Only the newest are kept, so a widget must hold a reference to its image."""
    try:
        _cache.move_to_end(key)
    except KeyError:
        _cache[key] = make()
        if len(_cache) > _MAX_CACHED:
            _cache.popitem(last=False)
    value: _T = _cache[key]
    return value


def root() -> tk.Tk:
    """The window that `setup` was called for."""
    assert _root is not None, "call setup first"
    return _root


def measure(text: str, font: tuple[str, int, str]) -> int:
    """Width of a text in pixels."""
    return int(root().tk.call("font", "measure", font, text))


def line_height(font: tuple[str, int, str]) -> int:
    """Distance of two lines in pixels."""
    return kept(("line", font), lambda: int(root().tk.call("font", "metrics", font, "-linespace")))


def ellipsis(text: str, font: tuple[str, int, str], width: int) -> str:
    """The text if it fits into `width` pixels, else its beginning and an ellipsis."""
    return kept(("ellipsis", text, font, width), lambda: _ellipsis(text, font, width))


def _ellipsis(text: str, font: tuple[str, int, str], width: int) -> str:
    if len(text) > 400:
        text = text[:400] + "…"  # wider than any window; limits the cost of measuring untrusted text
    if measure(text, font) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if measure(text[:middle].rstrip() + "…", font) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…" if low else ""


def behind(widget: Any) -> str:
    """The background colour for a child of this widget."""
    while isinstance(widget, ctk.CTkFrame) and widget.cget("fg_color") == "transparent":
        widget = widget.master
    if isinstance(widget, (ctk.CTkFrame, ctk.CTk)):
        colour = widget.cget("fg_color")
        return str(colour if isinstance(colour, str) else colour[1])
    return str(widget.cget("background"))


def blend(over: str, under: str, share: float) -> str:
    """Mix two colours; `share`: 0 to 1 of `over`."""
    pairs = ((int(over[at : at + 2], 16), int(under[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02X}" for a, b in pairs)
