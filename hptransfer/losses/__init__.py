"""What loss to expect: the law in closed form, its fit, and the points it is fitted to."""
