"""Estimators: each turns a sweep into the laws of peak LR and batch, one file an estimator."""
