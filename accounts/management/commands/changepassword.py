"""``manage.py changepassword E-MAIL``: Django's own; what was done is told to the audit trail."""

import getpass
from typing import Any

from django.contrib.auth.management.commands import changepassword

from accounts.models import User
from audit import trail
from audit.models import Action


class Command(changepassword.Command):
    """It asks for the password in between, so the entry cannot be in its transaction and follows it."""

    def handle(self, *args: Any, **options: Any) -> str:
        said = str(super().handle(*args, **options))
        person = User.objects.using(options["database"]).get(email=options["username"] or getpass.getuser())
        trail.record(Action.PASSWORD_CHANGED, "person", person.pk, owner_id=person.pk)
        return said
