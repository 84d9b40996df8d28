"""Batch sizes: how the LR follows one, the critical one, and the three that must not be confused."""
