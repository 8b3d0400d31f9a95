"""Writes the audit trail. Call it in the transaction of what it tells of, so that neither is there without the other.

Who does it, from where and in which request comes from context.py.
"""

from collections.abc import Iterable
from datetime import timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from django.db import transaction
from django.utils import timezone

from audit import context
from audit.models import Action, Entry

ONCE_WITHIN = timedelta(hours=1)
_KEPT_BITS = {4: 24, 6: 48}  # of an address


def record(
    action: Action, kind: str = "", object_id: object = "", *, owner_id: int | None = None, **details: Any
) -> Entry:
    """Adds one entry; ``details`` must hold no name, address or file name of anybody."""
    entry = _entry(action, kind, object_id, owner_id, details)
    entry.save(force_insert=True)
    return entry


def record_all(action: Action, kind: str, objects: Iterable[tuple[object, int | None]], **details: Any) -> None:
    """Adds one entry for each object, which comes with its owner's key."""
    Entry.objects.bulk_create(_entry(action, kind, object_id, owner_id, details) for object_id, owner_id in objects)


def record_once(action: Action, kind: str, object_id: object, *, owner_id: int | None = None) -> None:
    """Adds an entry unless the same person has done the same to it within the last hour: looking at a page, say."""
    recent = Entry.objects.filter(
        action=action,
        kind=kind,
        object_id=str(object_id),
        actor_id=context.current().person(),
        at__gt=timezone.now() - ONCE_WITHIN,
    )
    if not recent.exists():
        record(action, kind, object_id, owner_id=owner_id)


def note_settings(**values: Any) -> None:
    """Adds an entry when the installation's settings are not those that were noted last."""
    last = Entry.objects.filter(action=Action.SETTINGS_CHANGED).order_by("-at", "-pk").first()
    if last is None or last.details != values:
        record(Action.SETTINGS_CHANGED, "installation", **values)


def forget(days: int) -> int:
    """Removes entries older than that, and says in the trail that it did; 0 keeps all. How many."""
    if not days:
        return 0
    old = Entry.objects.filter(at__lt=timezone.now() - timedelta(days=days))
    with transaction.atomic():
        count = old._raw_delete(old.db)  # the queryset's own delete refuses
        if count:
            record(Action.TRAIL_SHORTENED, count=count, days=days)
    return count


def network_of(address: str) -> str:
    """The network that an address belongs to, which tells a house or a provider and not a person; empty for none."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    mapped = getattr(found, "ipv4_mapped", None) or found
    return str(ip_network(f"{mapped}/{_KEPT_BITS[mapped.version]}", strict=False))


def _entry(action: Action, kind: str, object_id: object, owner_id: int | None, details: dict[str, Any]) -> Entry:
    here = context.current()
    return Entry(
        action=action,
        actor_id=here.person(),
        via=here.via[:32],
        kind=kind,
        object_id=str(object_id),
        owner_id=owner_id,
        network=here.network,
        request_id=here.request_id,
        details=details,
    )
