"""The HTTP interface: one router module per subject, what is asked and answered, access rules."""
