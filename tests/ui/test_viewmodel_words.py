"""Numbers formatted for users, and addresses as users type them."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from phaselock.language.message import joined
from phaselock.model.address import parse_address
from phaselock.session.sentences import time_text
from phaselock.ui.viewmodel.words import (
    NNBSP,
    initial,
    latency_text,
    ms_text,
    number_text,
    percent_text,
    size_text,
    span_text,
    within_text,
)

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "ms": 10**6, "s": 10**9}


def value(text: str) -> float:
    """The value of the text in bytes or ns. Exactly one narrow no-break space must stand before the unit."""
    figure, unit = text.split(NNBSP)
    return float(figure) * UNITS[unit]


def figures(text: str) -> int:
    return len(text.split(NNBSP)[0].replace(".", "").lstrip("−"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (154.99, "2:34"),
        (59.9999, "0:59"),
        (3599, "59:59"),
        (3600, "1:00:00"),
        (3723, "1:02:03"),
        (-5, "0:00"),
        (math.nan, "0:00"),
        (math.inf, "0:00"),
    ],
)
def test_times(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


@given(st.floats(0, 1e9))
def test_a_time_reads_back(seconds: float) -> None:
    parts = [int(part) for part in time_text(seconds).split(":")]
    assert sum(part * 60**place for place, part in enumerate(reversed(parts))) == int(seconds)
    assert all(part < 60 for part in parts[1:]) and re.fullmatch(r"(\d+:)?\d+:\d\d", time_text(seconds))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1 min"), (2880, "48 min"), (3600, "1 h"), (7500, "2 h 5 min"), (3599, "1 h")],
)
def test_spans(seconds: float, text: str) -> None:
    assert span_text(seconds).replace(NNBSP, " ") == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (4_200_000, "4.2 MB"),
        (999_949_999, "999.9 MB"),
        (999_950_000, "1.0 GB"),
        (1_520_000_000, "1.5 GB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size).replace(NNBSP, " ") == text


@given(st.integers(0, 10**13))
def test_a_size_is_near_and_below_a_thousand_of_its_unit(size: int) -> None:
    assert value(size_text(size)) == pytest.approx(size, rel=0.06, abs=0 if size < 1000 else 500)
    assert size >= 999_950_000_000 or float(size_text(size).split(NNBSP)[0]) < 1000


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0.00 ms"),
        (20_400, "0.02 ms"),
        (994_000, "0.99 ms"),
        (996_000, "1.0 ms"),
        (3_240_000, "3.2 ms"),
        (9_960_000, "10 ms"),
        (45_400_000, "45 ms"),
        (999_600_000, "1.0 s"),
        (1_540_000_000, "1.5 s"),
        (-3_240_000, "−3.2 ms"),
        (-4_000, "0.00 ms"),
    ],
)
def test_durations(ns: int, text: str) -> None:
    assert ms_text(ns).replace(NNBSP, " ") == text


@given(st.integers(1, 10**13))
@example(995_001)
@example(9_900_001)
@example(999_000_001)
@example(99_900_000_001)
def test_a_bound_is_never_smaller_than_the_truth(ns: int) -> None:
    assert ns <= value(within_text(ns)) * (1 + 1e-9) <= max(ns * 1.11, ns + 10_000) * (1 + 1e-6)
    assert ns > 99_900_000_000 or figures(within_text(ns)) <= 3


def test_a_bound_is_never_nothing() -> None:
    assert within_text(0) == f"0.01{NNBSP}ms"


@pytest.mark.parametrize(
    ("ns", "text"), [(0, "<1 ms"), (999_999, "<1 ms"), (1_000_000, "1 ms"), (2_600_000, "3 ms"), (45 * 10**6, "45 ms")]
)
def test_latencies(ns: int, text: str) -> None:
    assert latency_text(ns).replace(NNBSP, " ") == text


@given(st.floats(0, 1))
def test_all_is_said_only_of_all(part: float) -> None:
    assert (percent_text(part) == f"100{NNBSP}%") == (part == 1)


@pytest.mark.parametrize(
    ("text", "letter"), [("ana", "A"), ("“über”", "Ü"), ("ßa", "S"), ("…", "…"), ("", ""), ("2 Unlimited", "2")]
)
def test_initials(text: str, letter: str) -> None:
    assert initial(text) == letter


@given(st.text())
def test_an_initial_is_one_character(text: str) -> None:
    assert len(initial(text)) == bool(text)


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [(-0.04, "+.1f", "0.0"), (-0.4, ".0f", "0"), (-0.06, "+.1f", "−0.1"), (1.5, "g", "1.5"), (2.0, "g", "2")],
)
def test_numbers(value: float, form: str, text: str) -> None:
    assert number_text(value, form) == text


def test_lists() -> None:
    assert joined([]) == "" and joined(["Ana"]) == "Ana" and joined(["Ana", "Ben"]) == "Ana and Ben"
    assert joined(["Ana", "Ben", "Cleo"]) == "Ana, Ben and Cleo"


# -- addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.168.1.42", "192.168.1.42", 17401),
        (" 192.168.1.42:9 ", "192.168.1.42", 9),
        ("laptop.local", "laptop.local", 17401),
        ("laptop.local.:65535", "laptop.local.", 65535),
        ("my_pc", "my_pc", 17401),
        ("bücher.example", "bücher.example", 17401),
        ("fe80::1", "fe80::1", 17401),
        ("fe80::1%eth0", "fe80::1%eth0", 17401),
        ("[fe80::1]", "fe80::1", 17401),
        ("[::1]:1", "::1", 1),
        ("::", "::", 17401),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert parse_address(text) == (host, port)


def test_the_port_that_goes_without_saying() -> None:
    assert parse_address("host", 5) == parse_address("host:5") == ("host", 5)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ":", ":1", "a b", "host name:1", "[::1", "[]", "[host]:1", "[1.2.3.4]", "[::1]x", "[::1]1", "a..b"),
        *("1:2:3", "::g", "host/", "a" * 64, ".".join(["a" * 60] * 5), "a\nb", ".", "10.0.0.1,"),
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"^Enter the address that the host shows, such as .*\.$"):
        parse_address(text)


@pytest.mark.parametrize("port", ["", "0", "65536", "-1", "1.5", "x", "١", "9" * 5000, "1 2"])
def test_what_is_no_port(port: str) -> None:
    for host in ("host", "[::1]"):
        with pytest.raises(ValueError, match=r"^The port is a number from 1 to 65535\.$"):
            parse_address(f"{host}:{port}!"[:-1] if port else f"{host}:")


HOSTS = st.one_of(
    st.ip_addresses(v=4).map(str), st.from_regex(r"[a-z0-9-]{1,20}(\.[a-z0-9-]{1,20}){0,3}", fullmatch=True)
)


@given(st.one_of(HOSTS, st.ip_addresses(v=6).map(str)), st.integers(1, 65535))
def test_an_address_reads_back(host: str, port: int) -> None:
    bracketed = f"[{host}]" if ":" in host else host
    assert parse_address(f"{bracketed}:{port}") == (host, port)
    assert parse_address(host, port) == parse_address(bracketed, port) == (host, port)


@given(st.one_of(st.text(), st.text("[]:.0a%/ "), st.text("1:").map(lambda text: text * 30)))
def test_any_text_is_an_address_or_a_sentence(text: str) -> None:
    try:
        host, port = parse_address(text)
    except ValueError as error:
        assert str(error).endswith(".")
    else:
        assert host and host in text and 1 <= port <= 65535 and not host.isspace()
