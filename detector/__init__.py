"""Judges whether the faces in a video are genuine or generated. Knows nothing of Django, the database or the queue."""
