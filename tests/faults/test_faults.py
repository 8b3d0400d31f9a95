"""Each fault once, on sites that are really started: the short form of `make faults`, a few minutes long."""

import os
from collections.abc import Iterator

import pytest

from tests.faults.faults import FAULTS, Fault
from tests.faults.rig import Rig
from tests.faults.rounds import assert_every_promise_is_kept, running_site_for

SHORT = [fault for fault in FAULTS if not fault.as_shipped]  # with every pause as shipped it takes minutes by itself
FIRST_OF_KIND = {fault.kind: fault for fault in reversed(SHORT)}


@pytest.fixture(scope="module")
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """One site for all faults that want the same kind; the parameter is the first of them."""
    if request.param.disk_bytes and os.geteuid() != 0:  # the checks that count run as root
        pytest.skip("Only root can mount the small disk that is filled.")
    with running_site_for(request.param) as site:
        yield site


@pytest.mark.parametrize(
    ("rig", "fault"),
    [pytest.param(FIRST_OF_KIND[fault.kind], fault, id=fault.name) for fault in SHORT],
    indirect=["rig"],
)
def test_every_promise_is_kept(rig: Rig, fault: Fault) -> None:
    assert_every_promise_is_kept(rig, fault)
