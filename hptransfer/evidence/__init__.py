"""How far a sweep and the law fitted to it can be trusted."""
