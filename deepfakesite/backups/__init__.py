"""Backups of an installation: the database, the media and the secret key in one folder, and the way back."""
