"""What every request passes before its route: its id, deadline, form, log line and headers."""
