from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("analysis", "0002_model_requested"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="modelversion",
            name="one_row_per_model_version",
        ),
        migrations.AddField(
            model_name="modelversion",
            name="config_sha256",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Of model.toml: its calibration and thresholds. Empty in rows from before it was kept.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="modelversion",
            name="sha256",
            field=models.CharField(help_text="Of its weights.", max_length=64),
        ),
        migrations.AddConstraint(
            model_name="modelversion",
            constraint=models.UniqueConstraint(
                fields=("name", "version", "sha256", "config_sha256"), name="one_row_per_model_version"
            ),
        ),
    ]
