"""Who changed what: history, and the audit records."""
