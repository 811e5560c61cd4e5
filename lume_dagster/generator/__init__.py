"""Proposes a mapper: from a sample of source records and a target schema to entries of a flow file, offline."""
