"""Loss curves: their record, the laws of loss against the LRs seen, and what such a law is worth."""
