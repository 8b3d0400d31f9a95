"""Addresses that two accounts lay claim to: somebody logs in with one, and somebody else has added it to theirs.

That much is allowed, since whoever adds an address is not told whose it is. Only one account can log in with it: the
database holds that, whoever comes first.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from allauth.account.models import EmailAddress
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.models import User


class BelongsToAnother(Exception):
    """The person has been told which of their addresses another account logs in with; nothing was changed."""


@contextmanager
def kept_apart(request: HttpRequest, person: User) -> Iterator[None]:
    """Around what may change the address that ``person`` logs in with: all of it happens, or none of it.

    Raises BelongsToAnother when another account has the address, even one that was made at this very moment.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        own = EmailAddress.objects.filter(user=person).values("email")
        taken = list(User.objects.filter(email__in=own).exclude(pk=person.pk).values_list("email", flat=True))
        if not taken:
            raise
        sentence = _(
            "Another account logs in with %(addresses)s. Choose another address, or delete that account first if it is "
            "yours."
        )
        messages.error(request, sentence % {"addresses": ", ".join(taken)})
        raise BelongsToAnother from error
