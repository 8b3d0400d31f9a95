"""Measures what an analysis costs on this machine: by stage, beside what it must cost at least and the usual way.

``run.run`` does what ``cases`` asks for, each measurement in a new process (``children``), and gives plain JSON, which
``text`` lays out for a terminal and ``page`` for docs/performance.md.
"""
