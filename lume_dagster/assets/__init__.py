"""The assets of a flow version: their steps, events and metadata."""
