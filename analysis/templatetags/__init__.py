"""Template filters for numbers, times and pictures of an analysis."""
