from typing import Any

import django.core.validators
from django.db import migrations, models

MOST = 32_767


def shorten(apps: Any, schema_editor: Any) -> None:
    """SQLite took any number, and one beyond the calendar kept retention from deleting anything."""
    apps.get_model("accounts", "User").objects.filter(retention_days__gt=MOST).update(retention_days=MOST)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_retention"),
    ]

    operations = [
        migrations.AlterField(
            model_name="user",
            name="retention_days",
            field=models.PositiveSmallIntegerField(
                blank=True,
                help_text="Each video is deleted with everything found in it so many days after it was last examined, unless the installation deletes it sooner. Empty for the installation's rule.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(MOST),
                ],
                verbose_name="delete videos after (days)",
            ),
        ),
        migrations.RunPython(shorten, migrations.RunPython.noop),
    ]
