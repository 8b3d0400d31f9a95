"""The short form of `make load`: ten people and forty analyses on a real site."""

from tests.load import limits, table
from tests.load.run import Load, machine, run


def test_a_short_run_keeps_every_limit() -> None:
    seen = run(Load(people=10, analyses=40, minutes=0.4), print)

    complaints = limits.complaints(seen)

    assert complaints == [], f"{table.markdown(seen, complaints, machine())}\n{seen.output}"
    assert seen.accepted >= 40
    assert seen.told.starts >= seen.states["done"]
