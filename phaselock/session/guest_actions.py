"""What a guest may do: the whole list. A guest is a person with the host's page open, for example on a phone.

The page's server checks where a message comes from and turns it into one of these. The session checks what it says.
"""

from __future__ import annotations

from uuid import UUID

from phaselock.frozen import frozen


@frozen
class GuestHere:
    """The guest's page is connected, and `name` is what the guest calls itself. Repeated when the name changes, and at
    least once a minute while the page is visible."""

    name: str
    address: str = ""
    """Where it is in the network; empty: on the host's machine. The guests at one address are one person for the rules,
    because a phone can be any number of guests. The first address of a guest counts."""


@frozen
class GuestGone:
    """The page was closed, or its phone sleeps. The guest's songs and votes stay."""


@frozen
class GuestAsks:
    """Ask for a song. With `song_id` it is a song of the host's library; without, the guest uploads `size` bytes after
    the request was accepted."""

    request_id: UUID
    file_name: str
    size: int
    title: str = ""
    artist: str = ""
    duration_secs: float = 0.0
    song_id: int | None = None


@frozen
class GuestWithdraws:
    """Take a request back that is not in the queue yet."""

    request_id: UUID


@frozen
class GuestVotes:
    """Vote for a song that waits (`wanted`), or take the vote back."""

    file_id: UUID
    wanted: bool


@frozen
class GuestWantsSkip:
    """Vote for leaving the song that plays, or take the vote back."""

    file_id: UUID
    wanted: bool


@frozen
class GuestSays:
    """Write a message to all."""

    text: str


@frozen
class GuestListens:
    """The guest's phone plays the music (`listening`), or has stopped. `uncertainty_ns` is how far its sound may be off
    as far as its page knows; None: unknown. `by_ear`: the guest has just set by ear when it plays."""

    listening: bool
    uncertainty_ns: int | None = None
    by_ear: bool = False


GuestAction = (
    GuestHere | GuestGone | GuestAsks | GuestWithdraws | GuestVotes | GuestWantsSkip | GuestSays | GuestListens
)
