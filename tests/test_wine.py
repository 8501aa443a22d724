from __future__ import annotations

import pytest

from tests.support.programs import ROOT
from tests.support.wine import EXPECTED_FAILURES, PURE


@pytest.mark.parametrize("test", EXPECTED_FAILURES)
def test_an_expected_failure_names_a_test(test: str) -> None:
    path, function = test.split("::")
    assert f"def {function}(" in (ROOT / path).read_text("utf-8")


@pytest.mark.parametrize("folder", PURE)
def test_a_folder_of_computing_tests_exists(folder: str) -> None:
    assert (ROOT / "tests" / folder).is_dir()
