"""Sensors: new batches, runs from elsewhere, alerts."""
