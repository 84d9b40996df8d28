"""Laws side by side: published ones at a target, two of them by their noise, and which can be compared."""
