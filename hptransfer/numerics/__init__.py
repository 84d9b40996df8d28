"""The numeric core: float arrays in, float arrays out. Knows numpy and scipy, and nothing of ours."""
