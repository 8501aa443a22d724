"""Secrets, tokens and removed guests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from phaselock.guests.access import Access, Removed

SECRET = bytes(range(16))


def access() -> Access:
    return Access(SECRET)


@given(st.binary(min_size=16, max_size=16))
def test_a_token_names_its_guest(guest_id: bytes) -> None:
    assert access().guest_id(access().token(guest_id)) == guest_id


@given(st.text("AZaz09-_=+/. é", max_size=60))
def test_other_texts_are_no_tokens(text: str) -> None:
    assert access().guest_id(text) is None
    assert not access().is_secret(text)


def test_tokens_are_different_and_end_with_the_secret() -> None:
    door = access()
    first, second = door.new_token(), door.new_token()
    assert first != second and door.guest_id(first) != door.guest_id(second)
    door.change_secret(b"x" * 16)
    assert door.guest_id(first) is None and not door.is_secret(access().secret)


def test_the_secret_fits_into_an_address() -> None:
    assert len(access().secret) == 22 and access().is_secret(access().secret)


def test_the_address_of_a_removed_guest_is_barred_until_it_is_let_in() -> None:
    door = access()
    door.remove(Removed(b"ana", frozenset({"192.168.1.7", "127.0.0.1"})))
    assert door.is_barred("192.168.1.7", ())
    assert not door.is_barred("192.168.1.8", ())
    assert not door.is_barred("192.168.1.7", {"192.168.1.7"}), "another guest behind the same router"
    assert not door.is_barred("127.0.0.1", ()), "this computer"
    door.keep_removed(lambda guest_id: guest_id == b"ana")
    assert door.is_barred("192.168.1.7", ())
    door.keep_removed(lambda guest_id: False)
    assert not door.is_barred("192.168.1.7", ())
