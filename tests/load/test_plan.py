"""Who takes part: that the videos add up, and that every kind of person is there."""

import pytest

from tests.load.plan import NARROW, NARROW_ROOM, Participant, Role, participants


@pytest.mark.parametrize(("people", "analyses"), [(6, 25), (10, 40), (50, 500)])
def test_the_videos_of_all_add_up(people: int, analyses: int) -> None:
    everybody = participants(people, analyses, 1000)

    assert len(everybody) == people
    assert sum(who.to_send for who in everybody) == analyses
    assert {who.role for who in everybody} >= {Role.FLOOD, Role.STAFF, Role.LATE, *NARROW}
    assert len({who.network_address for who in everybody}) == people


def test_one_person_sends_a_fifth_and_has_room_for_it() -> None:
    flood = participants(50, 500, 1000)[0]

    assert (flood.role, flood.to_send) == (Role.FLOOD, 100)
    assert flood.quotas["max_queued"] >= 100


def test_narrow_quotas_have_room_for_what_is_planned_and_no_more() -> None:
    by_role = {who.role: who for who in participants(10, 40, 1000)}

    assert by_role[Role.FEW_WAITING].quotas == {"max_queued": NARROW_ROOM}
    assert NARROW_ROOM * 1000 <= by_role[Role.FEW_BYTES].quotas["max_storage_bytes"] < (NARROW_ROOM + 1) * 1000
    assert by_role[Role.FEW_MINUTES].quotas == {"max_minutes_a_day": 1}


@pytest.mark.parametrize(("people", "analyses"), [(5, 100), (201, 5000), (50, 60)])
def test_numbers_that_make_no_run_are_refused(people: int, analyses: int) -> None:
    with pytest.raises(ValueError, match="people"):
        participants(people, analyses, 1000)


def test_a_participant_survives_json() -> None:
    for who in participants(10, 40, 1000):
        assert Participant.from_json(who.to_json()) == who
