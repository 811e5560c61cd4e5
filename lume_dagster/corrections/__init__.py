"""Rejects that people review, correct and hand in again."""
