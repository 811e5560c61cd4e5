"""Makes a mapper out of a sample of source records and a target schema; knows neither HTTP nor Dagster."""
