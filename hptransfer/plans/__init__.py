"""What a plan is made of: predictions, where each came from, its schedule, and what being wrong costs."""
