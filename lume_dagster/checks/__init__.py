"""The checks that stand between a Lume run and what is downstream of it."""
