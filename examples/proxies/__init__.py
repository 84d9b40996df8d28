"""A real sweep on a CPU: seeded text, a small language model, one run from a row, a resumable sweep."""
