"""Who may use the page.

The address in the QR code carries a secret behind its "#", which browsers do not send by themselves. A person who types
the address needs the code of the session instead, if it has one. Either gives a token, which names the guest and is
valid as long as the secret: a new secret ends all tokens. A person who came by the code comes back by the code.

A token is the id of the guest and a proof that the secret made it, so that nothing is stored for each of them.

A removed guest stays out with its token, and gets no new token at its address while no other guest uses the page from
there. This holds until the host's user lets it in again, or the page's secret changes and another code is set. A guest
that takes another address (or another phone) can come in again: to prevent that, the host's user makes a new secret.

All this travels over HTTP, unencrypted, because a browser accepts no certificate of a machine at home: a person who
records the traffic of the network can read the secret, the code and the tokens of the page.
"""

from __future__ import annotations

import base64
import binascii
import collections
import hmac
import os
from collections.abc import Callable, Collection

from phaselock.frozen import frozen
from phaselock.model.address import is_loopback

SECRET_BYTES = 16
GUEST_ID_BYTES = 16
_PROOF_BYTES = 16
MAX_REMOVED = 256
"""Largest number of removed guests that are remembered; the oldest ones are forgotten."""


@frozen
class Removed:
    """A guest that the host's user has removed."""

    guest_id: bytes
    ips: frozenset[str]
    """The addresses from which it used the page."""


class Access:
    """The secret of the page, and the guests that were removed."""

    def __init__(self, secret: bytes, random: Callable[[int], bytes] = os.urandom) -> None:
        self._secret = secret
        self._random = random
        self._removed: collections.deque[Removed] = collections.deque(maxlen=MAX_REMOVED)

    @property
    def secret(self) -> str:
        """As the address carries it: 22 letters, digits, "-" and "_"."""
        return _text(self._secret)

    def change_secret(self, secret: bytes) -> None:
        """All tokens end. The addresses of the removed guests are still remembered."""
        self._secret = secret

    def is_secret(self, text: str) -> bool:
        """Whether this is the secret."""
        return hmac.compare_digest(text.encode(), self.secret.encode())

    def new_token(self) -> str:
        """The token of a new guest."""
        return self.token(self._random(GUEST_ID_BYTES))

    def token(self, guest_id: bytes) -> str:
        """The token of this guest."""
        return _text(guest_id + self._proof(guest_id))

    def guest_id(self, token: str) -> bytes | None:
        """The guest that a token names; None if the present secret has not made the token."""
        try:
            data = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        guest_id, proof = data[:GUEST_ID_BYTES], data[GUEST_ID_BYTES:]
        return guest_id if hmac.compare_digest(proof, self._proof(guest_id)) else None

    def host_proof(self, guest_id: bytes, page: str) -> str:
        """Proves to the page of this guest that the machine whose page begins with this address knows the secret."""
        return _text(hmac.digest(self._secret, b"host" + guest_id + page.encode(), "sha256")[:_PROOF_BYTES])

    def remove(self, guest: Removed) -> None:
        """The host's user has removed this guest."""
        self._removed.append(guest)

    def keep_removed(self, is_removed: Callable[[bytes], bool]) -> None:
        """Forget the guests that are not removed any more: the host's user has let them in again."""
        kept = [one for one in self._removed if is_removed(one.guest_id)]
        if len(kept) < len(self._removed):
            self._removed = collections.deque(kept, maxlen=MAX_REMOVED)

    def is_barred(self, ip: str, ips_of_guests: Collection[str]) -> bool:
        """Whether a removed guest used the page from this address. Not for the addresses of this computer, nor while
        another guest (`ips_of_guests`) uses the page from there: behind a router, several phones share an address."""
        return not is_loopback(ip) and ip not in ips_of_guests and any(ip in one.ips for one in self._removed)

    def _proof(self, guest_id: bytes) -> bytes:
        return hmac.digest(self._secret, b"guest" + guest_id, "sha256")[:_PROOF_BYTES]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
