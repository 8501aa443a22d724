"""The packets of PCP and NAT-PMP, byte for byte, and packets that are none."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.internet.pcp import Answer, NatPmp, Pcp, Result, Transport

NONCES = {Transport.TCP: b"tcptcptcptcp", Transport.UDP: b"udpudpudpudp"}
IN_IPV6 = bytes(10) + b"\xff\xff"


def pcp() -> Pcp:
    return Pcp("192.168.1.2", NONCES)


def pcp_answer(result: int = 0, nonce: bytes = NONCES[Transport.TCP], address: bytes = bytes([45, 32, 1, 1])) -> bytes:
    head = struct.pack("!BBBBII12x", 2, 129, 0, result, 120, 77)
    return head + struct.pack("!12sB3xHH", nonce, 6, 17404, 17401) + IN_IPV6 + address


def test_a_request_of_pcp_for_a_mapping() -> None:
    packet = pcp().map(Transport.TCP, 17404, 17401, 120)
    assert packet == (
        bytes([2, 1, 0, 0, 0, 0, 0, 120])
        + IN_IPV6
        + bytes([192, 168, 1, 2])
        + b"tcptcptcptcp"
        + bytes([6, 0, 0, 0])
        + struct.pack("!HH", 17404, 17401)
        + IN_IPV6
        + bytes(4)
    )


def test_a_request_of_pcp_at_an_ipv6_router_wants_no_address() -> None:
    packet = Pcp("2a02:c207::2", NONCES).map(Transport.UDP, 17402, 17402, 120)
    assert (packet[8:24].hex(), packet[-16:]) == ("2a02c207000000000000000000000002", bytes(16))


def test_requests_of_nat_pmp() -> None:
    assert NatPmp().look() == bytes(2)
    assert NatPmp().map(Transport.UDP, 17402, 17403, 120) == struct.pack("!BBHHHI", 0, 1, 0, 17402, 17403, 120)
    assert NatPmp().map(Transport.TCP, 17404, 17401, 0) == struct.pack("!BBHHHI", 0, 2, 0, 17404, 0, 0)


def test_answers_of_pcp() -> None:
    assert pcp().parse(pcp_answer()) == Answer(Result.OK, 77, Transport.TCP, 17404, 17401, 120, "45.32.1.1")
    assert pcp().parse(struct.pack("!BBBBII12x", 2, 128, 0, 0, 0, 5)) == Answer(Result.OK, 5)
    assert pcp().parse(pcp_answer(2)) == Answer(Result.REFUSED, 77, Transport.TCP, 17404, 17401, 120, "45.32.1.1")


def test_an_error_of_pcp_repeats_the_address_of_the_request_which_is_none() -> None:
    answer = pcp().parse(pcp_answer(8, address=bytes(4)))
    assert answer is not None and (answer.result, answer.address) == (Result.NO_PORTS, "")


def test_answers_of_nat_pmp() -> None:
    address = struct.pack("!BBHI4B", 0, 128, 0, 9, 45, 32, 1, 1)
    assert NatPmp().parse(address) == Answer(Result.OK, 9, address="45.32.1.1")
    mapping = struct.pack("!BBHIHHI", 0, 130, 0, 9, 17404, 17401, 120)
    assert NatPmp().parse(mapping) == Answer(Result.OK, 9, Transport.TCP, 17404, 17401, 120)
    assert NatPmp().parse(struct.pack("!BBHI", 0, 128, 3, 9)) == Answer(Result.NO_PUBLIC_ADDRESS, 9)
    assert NatPmp().parse(struct.pack("!BBHI", 0, 129, 2, 9)) == Answer(Result.REFUSED, 9, Transport.UDP)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x00",
        pcp_answer(nonce=b"another one!"),
        pcp_answer()[:-1],
        pcp().map(Transport.TCP, 17404, 17401, 120),  # a request
        bytes([2, 130]) + bytes(60),
    ],
)
def test_what_is_no_answer_of_pcp(packet: bytes) -> None:
    assert pcp().parse(packet) is None


@pytest.mark.parametrize("packet", [bytes([0, 128, 0, 1, 0, 0, 0, 9]), bytes([1, 129]) + bytes(22)])
def test_a_router_that_speaks_another_version_of_pcp(packet: bytes) -> None:
    answer = pcp().parse(packet)
    assert answer is not None and answer.result == Result.OTHER_VERSION


def test_late_answers_to_pcp_count_for_nothing_when_nat_pmp_is_asked() -> None:
    assert NatPmp().parse(bytes([0, 128, 0, 1, 0, 0, 0, 9])) is None
    assert NatPmp().parse(pcp_answer()) is None


def test_a_router_that_speaks_pcp_only_says_so() -> None:
    answer = NatPmp().parse(struct.pack("!BBBBII12x", 2, 128, 0, 1, 0, 9))
    assert answer is not None and answer.result == Result.OTHER_VERSION


@given(st.binary(max_size=120))
def test_no_packet_raises(packet: bytes) -> None:
    for dialect in (pcp(), NatPmp()):
        for head in (b"", bytes([2, 129]), bytes([0, 128]), bytes([0, 130])):
            dialect.parse(head + packet)
