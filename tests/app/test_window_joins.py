"""How the window joins sessions again, by invitations and on the network of the house."""

from __future__ import annotations

import pytest

from phaselock.app.window_joins import Joins
from phaselock.model.invitation import Candidate
from phaselock.model.notices import Code, Notice
from phaselock.network.service_record import FoundSession
from phaselock.session.effects import Ended

LINE = "phaselock:///192.168.1.42:17404,45.32.1.1:17401+5000/4829134471/7-1f00ab42"
FOUND = FoundSession("Jam", "Ann", 0, 5, ("10.9.9.1", "192.168.77.1"), 18401, "ab" * 16, 2)


def test_a_friend_elsewhere_joins_again_by_all_that_the_invitation_tells() -> None:
    joins = Joins()
    first = joins.attempt(LINE, None, "Ben", None, "null", None)
    assert first.places == [("192.168.1.42", 17404), ("45.32.1.1", 17401)]
    assert (first.code, first.session_id, first.version) == ("4829134471", "1f00ab42", 7)
    joins.joined("192.168.1.42:17404", "Jam")
    again = joins.attempt("192.168.1.42:17404", None, "Ben", None, "null", None)
    assert again.session_name == "Jam" and again.clock_ports == {("45.32.1.1", 17401): 5000}
    assert (again.places, again.code, again.session_id) == (first.places, first.code, first.session_id)


def test_a_friend_elsewhere_joins_again_where_its_host_was_last() -> None:
    joins = Joins()
    first = joins.attempt(LINE, None, "Ben", None, "null", None)
    joins.joined("192.168.1.42:17404", "Jam")
    joins.left("192.168.1.42:17404", (Candidate("192.168.1.42", 17404), Candidate("45.32.1.9", 17401, 5001)))
    again = joins.attempt("192.168.1.42:17404", None, "Ben", None, "null", None)
    assert again.places == (("192.168.1.42", 17404), ("45.32.1.9", 17401), ("45.32.1.1", 17401))
    assert {("45.32.1.9", 17401): 5001, ("45.32.1.1", 17401): 5000}.items() <= dict(again.clock_ports).items()
    assert (again.code, again.session_id) == (first.code, first.session_id)
    joins.left("192.168.1.42:17404", ())
    assert joins.attempt("192.168.1.42:17404", None, "Ben", None, "null", None) == again


def test_a_host_of_the_house_that_was_started_again_is_joined_again() -> None:
    joins = Joins()
    first = joins.attempt("10.9.9.1:18401", FOUND, "Ben", "482913", "null", None)
    assert first.session_id == FOUND.session_id
    joins.joined("10.9.9.1:18401", "Jam")
    again = joins.attempt("10.9.9.1:18401", None, "Ben", None, "null", None)
    assert (again.session_id, again.host_key, again.code) == ("", "", "482913") and len(again.places) == 2


@pytest.mark.parametrize(
    ("line", "detail", "expected"),
    [
        (LINE, "", ("This invitation is wrong or no longer valid. Ask the host for a new one.", None)),
        (LINE, "Withdrawn.", ("Withdrawn.", None)),
        ("phaselock://10.9.9.1/482913", "", ("The code is wrong.", Code.CODE_WRONG)),
    ],
)
def test_only_a_code_that_people_type_is_asked_for_again(
    line: str, detail: str, expected: tuple[str, Code | None]
) -> None:
    joins = Joins()
    joins.attempt(line, None, "Ben", None, "null", None)
    assert joins.reason(Ended(Notice(Code.CODE_WRONG, detail), failed=True)) == expected
