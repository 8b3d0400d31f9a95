"""Mutated real videos, thrown at the upload and at the analysis: ``make fuzz COUNT=5000``; see docs/reliability.md."""
