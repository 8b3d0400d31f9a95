"""Finds analyses by a part of their video's name, in upper case or lower, in every script.

PostgreSQL does so by itself. SQLite knows the two cases of A to Z alone, so it is lent Python's. Its LIKE is left as it
is, since people's addresses are compared with it, too: there, two letters that fold into one must stay two.
"""

import unicodedata
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Func, QuerySet

from analysis.models import Analysis


def lend_case_folding(connection: BaseDatabaseWrapper, **signal: Any) -> None:
    """Receives ``connection_created``: gives every new connection to SQLite the function that ``named`` calls."""
    if connection.vendor == "sqlite":
        connection.connection.create_function("CASEFOLDED", 1, str.casefold, deterministic=True)


def named(rows: QuerySet[Analysis], part: str) -> QuerySet[Analysis]:
    """Those with ``part`` in their name, however its letters are composed.

    Where SQLite folds letters beyond ASCII, a row costs a microsecond more.
    """
    part = unicodedata.normalize("NFC", part)  # as names are kept (accounts/names.py)
    if part.isascii() or connections[rows.db].vendor != "sqlite":
        return rows.filter(video__name__icontains=part)
    folded = Func("video__name", function="CASEFOLDED", output_field=CharField())
    return rows.alias(folded_name=folded).filter(folded_name__contains=part.casefold())
