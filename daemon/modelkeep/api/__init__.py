"""The HTTP interface: one router module per subject, schemas, access rules."""
