"""Spans made of records, and their export."""
