"""Flow versions as a Dagster component."""
