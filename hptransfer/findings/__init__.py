"""What `check` found: the record, what is accepted of it, fixes, and reports."""
