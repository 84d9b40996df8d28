"""Figures painted with matplotlib (extra `plot`): frames of `hptransfer.figures` in, PNG, SVG or PDF out.

matplotlib is imported when a canvas is asked for, never before, and no display is ever needed. The same frame
gives the same bytes: ids are salted, dates are left out.
"""
