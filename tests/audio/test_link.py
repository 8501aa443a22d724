"""The link behind an output, from the properties that sound systems give their sinks."""

from __future__ import annotations

import sys

import pytest

from phaselock.audio.link import LINK_TIMINGS, Link, link_of, timing_of
from phaselock.model.timing import Timing

SINKS: list[tuple[dict[str, str], Link]] = [
    ({}, "wire"),
    ({"node.name": "alsa_output.pci-0000_00_1f.3.analog-stereo", "device.api": "alsa", "device.bus": "pci"}, "wire"),
    ({"node.name": "alsa_output.usb-Focusrite-00.pro-output-0", "device.bus": "usb"}, "wire"),
    ({"node.name": "alsa_output.pci-0000_01_00.1.hdmi-stereo"}, "hdmi"),
    ({"device.string": "hdmi:0", "device.profile.name": "stereo"}, "hdmi"),
    ({"device.profile.name": "HDMI-surround"}, "hdmi"),
    ({"active.port": "hdmi-output-1"}, "hdmi"),
    ({"device.bus": "bluetooth"}, "bluetooth"),
    ({"device.api": "bluez5", "node.name": "some"}, "bluetooth"),
    ({"node.name": "bluez_output.00_11_22_33_44_55.1"}, "bluetooth"),
    ({"node.name": "bluez_sink.00_11_22_33_44_55.a2dp_sink"}, "bluetooth"),
]


@pytest.mark.parametrize(("properties", "link"), SINKS)
def test_the_link_of_a_sink(properties: dict[str, str], link: Link) -> None:
    assert link_of(properties) == link


@pytest.mark.parametrize(
    ("account", "link", "timing"),
    [
        ("exact", "wire", "exact"),
        ("told", "wire", "told"),
        ("unknown", "wire", "unknown"),
        ("exact", "bluetooth", "told"),
        ("exact", "hdmi", "told"),
        ("unknown", "hdmi", "unknown"),
        ("exact", "server", "unknown"),
        ("exact", "pipewire-jack", "exact"),
    ],
)
def test_the_timing_of_an_output_is_the_worse_of_account_and_link(account: Timing, link: Link, timing: Timing) -> None:
    assert timing_of(account, link) == timing


def test_only_an_unknown_timing_has_no_uncertainty() -> None:
    assert {link for link, (timing, unreported_ns) in LINK_TIMINGS.items() if unreported_ns is None} == {
        link for link, (timing, unreported_ns) in LINK_TIMINGS.items() if timing == "unknown"
    }


@pytest.mark.skipif(sys.platform != "linux", reason="ALSA is Linux's")
def test_a_pcm_without_a_server_is_a_wire() -> None:
    alsa = pytest.importorskip("phaselock.audio.alsa")
    library = alsa._library()
    if library is None:
        pytest.skip("ALSA is not installed")
    pcm = alsa.c_void_p()
    assert library.snd_pcm_open(alsa.byref(pcm), b"null", 0, 0) == 0
    try:
        assert alsa.link_behind(pcm.value) == "wire"
    finally:
        library.snd_pcm_close(pcm)
