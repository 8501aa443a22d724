from __future__ import annotations

import ipaddress
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.network.service_record import (
    SERVICE_TYPE,
    FoundSession,
    found_session,
    instance_name,
    txt_fields,
    txt_record,
)

ID = bytes(range(16))
HERE = [ipaddress.ip_address("192.0.2.7")]
HOSTILE = ["", ".", "a.b.c", "\x00\x1b[31m\n", "ä" * 200, "\U0001f469\u200d\U0001f467" * 40, "\ud800", "x" * 1000]
HOSTILE += ["\u202eevil", "\\", "=", "\u200d"]


def record(*fields: bytes) -> bytes:
    return b"".join(bytes([len(field)]) + field for field in fields)


def good(**changes: bytes) -> bytes:
    fields = {"name": b"Friday", "host": b"Ada", "peers": b"2", "max_peers": b"5", "id": ID.hex().encode()}
    return record(*(key.encode() + b"=" + value for key, value in {**fields, "version": b"1", **changes}.items()))


def test_an_announced_session_is_found() -> None:
    told = txt_record("Friday", "Ada", 2, 5, ID, 1)
    assert list(txt_fields(told)) == [b"name", b"host", b"peers", b"max_peers", b"id", b"version"]
    assert told == good()
    found = FoundSession("Friday", "Ada", 2, 5, ("192.0.2.7",), 17401, ID.hex(), 1)
    assert found_session(17401, told, HERE) == found
    assert not found.full


def test_a_code_and_the_key_of_the_host_are_announced() -> None:
    told = txt_record("Friday", "Ada", 2, 5, ID, 1, needs_code=True, host_key="0a" * 16)
    assert txt_fields(told)[b"code"] == b"1" and txt_fields(told)[b"key"] == b"0a" * 16
    found = found_session(17401, told, HERE)
    assert found and (found.needs_code, found.host_key) == (True, "0a" * 16)


@pytest.mark.parametrize("key", [b"", b"0a" * 15, b"0a" * 17, b"0g" * 16, b"\xff" * 32, "ä".encode() * 16])
def test_a_key_of_another_form_is_no_key(key: bytes) -> None:
    found = found_session(17401, good(key=key, code=b"0"), HERE)
    assert found and (found.needs_code, found.host_key) == (False, "")


def test_the_digits_of_a_key_are_lower_case() -> None:
    found = found_session(17401, good(key=b"0A" * 16), HERE)
    assert found and found.host_key == "0a" * 16


@pytest.mark.parametrize(("peers", "full"), [(b"4", False), (b"5", True), (b"6", True)])
def test_full(peers: bytes, full: bool) -> None:
    found = found_session(17401, good(peers=peers), HERE)
    assert found and found.full == full


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"", 0),
        (b"-3", 0),
        (b"7", 7),
        (b"9" * 200, 999),
        (b"3.5", 0),
        (b"0x10", 0),
        (b"\xff\xfe", 0),
        (b"12 people", 0),
    ],
)
def test_numbers_are_bounded(text: bytes, number: int) -> None:
    found = found_session(17401, good(peers=text), HERE)
    assert found and found.peers == number


def test_missing_fields_have_defaults() -> None:
    found = found_session(17401, record(b"name=Friday", b"id=" + ID.hex().encode()), HERE)
    assert found == FoundSession("Friday", "", 0, 5, ("192.0.2.7",), 17401, ID.hex(), 0)


def test_names_are_reduced() -> None:
    found = found_session(17401, good(name=b"Fri\xff\x1b[31mday\r\n", host=b"\xe2\x80\xaeAda"), HERE)
    assert found and (found.session_name, found.host_name) == ("Fri\ufffd[31mday", "Ada")


@pytest.mark.parametrize(
    ("port", "text", "addresses"),
    [
        (0, good(), HERE),
        (65536, good(), HERE),
        (17401, good(), []),
        (17401, good(), [ipaddress.ip_address("127.0.0.1")]),
        (17401, good(id=b""), HERE),
        (17401, good(id=b"g" * 32), HERE),
        (17401, good(id=b"a" * 65), HERE),
        (17401, good(id=b"\xff" * 32), HERE),
        (17401, good(name=b""), HERE),
        (17401, good(name=b"\x1b\x00"), HERE),
        (17401, b"", HERE),
        (17401, b"\xff", HERE),
    ],
)
def test_records_that_cannot_be_joined_are_no_session(
    port: int, text: bytes, addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address]
) -> None:
    assert found_session(port, text, addresses) is None


def test_the_first_of_two_counts() -> None:
    assert txt_fields(record(b"a=1", b"A=2", b"b", b"c=", b"=d", b"e=f=g")) == {
        b"a": b"1",
        b"c": b"",
        b"": b"d",
        b"e": b"f=g",
    }


@given(st.integers(0, 65535), st.binary(max_size=600), st.lists(st.ip_addresses(), max_size=3))
def test_anything_from_the_network(
    port: int, text: bytes, addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address]
) -> None:
    found_session(port, text, addresses)


@given(st.dictionaries(st.sampled_from(["name", "host", "peers", "max_peers", "version"]), st.binary(max_size=200)))
def test_any_values(values: dict[str, bytes]) -> None:
    found = found_session(17401, good(**values), HERE)
    if found:
        assert found.session_name
        assert not {unicodedata.category(c) for c in found.session_name} & {"Cc", "Cs", "Zl", "Zp"}
        assert 0 <= found.peers <= 999 and 0 <= found.max_peers <= 999 and 0 <= found.version <= 65535


@given(st.text() | st.sampled_from(HOSTILE), st.text() | st.sampled_from(HOSTILE), st.integers(-5, 99))
def test_any_names(session_name: str, host_name: str, peers: int) -> None:
    label = instance_name(session_name, ID).removesuffix(f".{SERVICE_TYPE}")
    assert len(label.encode()) <= 63
    assert "." not in label and label == label.strip() and label.endswith("000102")
    text = txt_record(session_name, host_name, peers, 5, ID, 1)
    assert len(txt_fields(text)) == 6


def test_sessions_with_the_same_name_have_different_service_names() -> None:
    assert instance_name("Friday", b"\x01" * 16) != instance_name("Friday", b"\x02" * 16)
    assert instance_name("Friday 2.0", ID) == f"Friday 2-0 000102.{SERVICE_TYPE}"
