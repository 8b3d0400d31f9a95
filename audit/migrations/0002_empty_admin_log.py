from django.db import migrations


def empty(apps, schema_editor):
    """Django's own log of the administration kept e-mail addresses and file names of what was deleted."""
    log = apps.get_model("admin", "LogEntry")
    log.objects.using(schema_editor.connection.alias).all().delete()


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial"), ("admin", "0003_logentry_add_action_flag_choices")]

    operations = [migrations.RunPython(empty, migrations.RunPython.noop)]
