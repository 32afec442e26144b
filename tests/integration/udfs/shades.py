"""A sibling module, not a UDF."""

TOP = 16
